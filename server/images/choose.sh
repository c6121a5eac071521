#!/usr/bin/env bash
# Prints `gpu` where an NVIDIA driver answers, else `cpu`; `KIND` in the environment decides for itself.
set -euo pipefail
if [ -n "${KIND:-}" ]; then
    case $KIND in cpu | gpu) echo "$KIND" ;; *) echo "KIND is cpu or gpu, not $KIND" >&2; exit 2 ;; esac
elif command -v nvidia-smi > /dev/null && nvidia-smi --list-gpus 2> /dev/null | grep --quiet GPU; then
    echo gpu
else
    echo cpu
fi
