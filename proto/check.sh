#!/usr/bin/env bash
# Fails if the stubs in pasarela_proto/ are not what the .proto files generate.
set -euo pipefail
here=$(dirname "$0")
PYTHON=$(realpath -s "${PYTHON:-$here/../.venv/bin/python}")
export PYTHON
cd "$here"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
./generate.sh "$fresh" 2> /dev/null
if ! diff -r --exclude=__init__.py --exclude=py.typed --exclude=__pycache__ "$fresh/pasarela_proto" pasarela_proto; then
    echo "The generated stubs are not current. Run: make proto" >&2
    exit 1
fi
