#!/usr/bin/env bash
# Other servers that `make benchmark-peers` compares with, into the folder given, each in an environment of its own:
#   FOLDER/triton/venv      NVIDIA's Triton (CPU, Python backend), out of the wheel that PyTriton brings it in
#   FOLDER/triton/backends  its Python backend, laid out as tritonserver wants it
#   FOLDER/mlserver/venv    MLServer
# Frameworks and decoders are those that Pasarela itself is installed with, where the peer allows it.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)

pin() { grep -m 1 "^$1==" "$here/../../constraints.txt"; }

# install NAME REQUIREMENT… makes the environment anew unless it was made of just these; true if it did
install() {
  local name=$1
  shift
  if [ "$(cat "$folder/$name/installed" 2> /dev/null)" = "$*" ]; then return 1; fi
  echo "$name (a minute or two) …"
  rm -rf "${folder:?}/$name"
  mkdir -p "$folder/$name"
  python3 -m venv "$folder/$name/venv"
  "$folder/$name/venv/bin/python" -m pip --disable-pip-version-check -qq install "$@" || exit
  echo "$*" > "$folder/$name/installed"
}

lay_out_triton() {
  local python=$folder/triton/venv/bin/python server version
  server=$("$python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/pytriton/tritonserver
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  mkdir -p "$folder/triton/backends/python"
  cp "$server"/backends/python/*.so "$server"/backends/python/*.py "$folder/triton/backends/python/"
  cp "$server/python_backend_stubs/$version/triton_python_backend_stub" "$folder/triton/backends/python/"
}

# Triton's Python backend is built for NumPy 1, and so is this OpenCV.
if install triton nvidia-pytriton==0.7.0 "$(pin openvino)" "$(pin onnxruntime)" "$(pin simplejpeg)" \
  'opencv-python-headless<4.12'; then
  lay_out_triton
fi
install mlserver mlserver==1.7.1 "$(pin openvino)" "$(pin simplejpeg)" "$(pin opencv-python-headless)" || true
