#!/usr/bin/env bash
# Sees to it that there is a browser for the tests of pages: Chromium, by the system's package manager where it has none.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" > /dev/null; then
        exit 0
    fi
done
if ! command -v apt-get > /dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "There is no Chromium here, and only root on Debian or Ubuntu can be helped: install it, so that" >&2
    echo "\`chromium\` is on the PATH, or name one of your own in PASARELA_BROWSER." >&2
    exit 1
fi
echo "Installing Chromium for the tests of pages (about a minute) …"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null
