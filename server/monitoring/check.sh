#!/usr/bin/env bash
# Runs the panels of the dashboard and the alerts against a real Prometheus: `make monitoring-check`.
# Prometheus is taken from the machine; where it is missing, from the operating system's packages, if that is allowed.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v prometheus promtool >/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "Installing Prometheus …"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus >/dev/null
    else
        echo "prometheus and promtool are needed: install your system's package 'prometheus', as root" >&2
        exit 1
    fi
fi
exec "${PYTEST:-.venv/bin/pytest}" tests/monitoring/against_prometheus.py "$@"
