#!/usr/bin/env bash
# Clients of others that cannot live in the project's environment, into the folder given: `make peers`.
#   FOLDER/perf_analyzer/run     NVIDIA's load generator, from the last wheel of tritonclient that held its binary
#   FOLDER/kserve/bin/python     an environment with KServe's client, whose pins are not the project's
set -euo pipefail
folder=$1
pip() { python3 -m pip --disable-pip-version-check -q "$@"; }

if [ ! -x "$folder/perf_analyzer/run" ]; then
  echo "perf_analyzer …"
  rm -rf "$folder/perf_analyzer" && mkdir -p "$folder/perf_analyzer/wheels"
  cd "$folder/perf_analyzer"
  pip download --no-deps --platform manylinux1_x86_64 -d wheels tritonclient==2.50.0
  pip download --no-deps --platform manylinux2014_x86_64 -d wheels nvidia-cuda-runtime-cu12==12.4.127
  for wheel in wheels/*.whl; do python3 -m zipfile -e "$wheel" unpacked; done
  rm -rf wheels
  binary=$(find "$PWD/unpacked" -name perf_analyzer -type f | head -n 1)
  cuda=$(dirname "$(find "$PWD/unpacked" -name 'libcudart.so.12' | head -n 1)")
  chmod +x "$binary"
  printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%q\nexec %q "$@"\n' "$cuda" "$binary" > run
  chmod +x run
  ./run --version > /dev/null || echo "It does not run yet. It needs the system's libb64: apt-get install libb64-0d" >&2
fi

if [ ! -x "$folder/kserve/bin/python" ]; then
  echo "kserve (a minute) …"
  python3 -m venv "$folder/kserve"
  "$folder/kserve/bin/python" -m pip --disable-pip-version-check -q install kserve==0.21.0
fi

echo "export PASARELA_PERF_ANALYZER=$folder/perf_analyzer/run"
echo "export PASARELA_KSERVE_PYTHON=$folder/kserve/bin/python"
