#!/usr/bin/env bash
# Regenerates pasarela_proto/ from the .proto files: ./generate.sh [OUTPUT_FOLDER]
# The mapping pasarela_proto=. makes the stubs import each other as one package.
set -euo pipefail
here=$(dirname "$0")
python=$(realpath -s "${PYTHON:-$here/../.venv/bin/python}")
cd "$here"
out=${1:-.}
PATH="$(dirname "$python"):$PATH"
"$python" -m grpc_tools.protoc -I pasarela_proto=. \
    --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
    pasarela_proto/inference.proto pasarela_proto/model_config.proto pasarela_proto/detection.proto
# model_config.proto declares no service: its empty stub is not kept.
rm -f "$out"/pasarela_proto/model_config_pb2_grpc.py "$out"/pasarela_proto/model_config_pb2_grpc.pyi
