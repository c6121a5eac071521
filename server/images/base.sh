#!/usr/bin/env bash
# Makes a base image out of Debian's own packages, for machines that reach no image registry:
#
#   server/images/base.sh localhost/pasarela-base
#
# It stands for the official Python image: the same Debian, the same minor version of Python.
set -euo pipefail
name=${1:?usage: base.sh IMAGE}
engine=${ENGINE:-$(command -v docker || command -v podman)}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" > "$root.log" 2>&1 ||
    { tail -3 "$root.log" >&2; exit 1; }
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root.log"
ln --symbolic --force python3 "$root/usr/bin/python"
tar --directory "$root" --create . | "$engine" import - "$name"
