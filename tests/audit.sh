#!/usr/bin/env bash
# What scanners find in the project: bandit in its code, pip-audit in the packages that constraints.txt pins. They get an
# environment of their own, so that what they need does not pin what the project may use.
#   tests/audit.sh FOLDER
# Exit codes: 0 nothing found; 1 something found; 3 nothing found, but pip-audit could not reach its database.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?name a folder for the tools}
tools=(bandit==1.9.4 pip-audit==2.10.1)

if [[ ! -x $folder/bin/bandit || ! -x $folder/bin/pip-audit ]]; then
    echo "Installing ${tools[*]} into $folder …"
    "${PYTHON:-python3}" -m venv "$folder"
    "$folder/bin/pip" --disable-pip-version-check install -qq "${tools[@]}"
fi

code=0
echo "bandit: server, client, training, loadtest"
"$folder/bin/bandit" --quiet --recursive --configfile tests/bandit.yaml \
    server/pasarela_server client/pasarela_client training/pasarela_training loadtest || code=1

echo "pip-audit: constraints.txt"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "$folder/bin/pip-audit" --requirement constraints.txt --disable-pip --no-deps --progress-spinner off >"$log" 2>&1 &&
    ! grep -qE "Connection|Max retries|timed out|HTTPError|ServiceError|Failed to (query|fetch)" "$log"; then
    cat "$log"
    code=1
fi
packages=$(grep -cE '^[A-Za-z]' constraints.txt)
unknown=$(grep -c "could not be audited" "$log" || true)
if ((unknown == packages)) || ! grep -qiE "vulnerabilit" "$log"; then
    echo "pip-audit: its database could not be reached from here; nothing is known about the packages" >&2
    [[ $code -ne 0 ]] || code=3
else
    echo "pip-audit: $((packages - unknown)) of $packages packages were looked up"
    grep "could not be audited" "$log" || true
fi
exit $code
