#!/usr/bin/env bash
# Runs a serving image as it should be run in production, and looks whether it does what it promises:
#
#   server/images/check.sh IMAGE [MOST_MEGABYTES]
#
# No root, a read-only file system, no privileges; it gets ready by its own health check, finds garments, and stops
# with exit code 0 when it is told to.
set -euo pipefail
image=${1:?usage: check.sh IMAGE [MOST_MEGABYTES]}
most_mb=${2:-}
here=$(cd "$(dirname "$0")/../.." && pwd)
engine=${ENGINE:-$(command -v docker || command -v podman)}
read -ra run_flags <<< "${RUN_FLAGS:-}"
name=pasarela-check-$$
port=${PORT:-18001}
trap '"$engine" rm --force "$name" > /dev/null 2>&1 || true' EXIT

say() { printf '%-58s %s\n' "$1" "$2"; }
fail() { say "$1" "FAILED: $2" >&2; exit 1; }

size_mb=$(( $("$engine" image inspect --format '{{.Size}}' "$image") / 1000000 ))
[ -z "$most_mb" ] || [ "$size_mb" -lt "$most_mb" ] || fail "size" "$size_mb MB, more than $most_mb MB"
say "size" "$size_mb MB"

"$engine" run --detach --name "$name" --network host --read-only --tmpfs /tmp --cap-drop all \
    --security-opt no-new-privileges "${run_flags[@]}" --volume "$here/model_repository:/models:ro" \
    --env PASARELA_GRPC_ADDRESS=127.0.0.1 --env PASARELA_GRPC_PORT="$port" --env PASARELA_METRICS_PORT=0 \
    "$image" > /dev/null
for _ in $(seq 120); do
    if "$engine" exec "$name" pasarela-server health > /dev/null 2>&1; then ready=yes; break; fi
    [ "$("$engine" inspect --format '{{.State.Running}}' "$name")" = true ] || break
    sleep 1
done
[ "${ready:-}" = yes ] || { "$engine" logs "$name" >&2; fail "ready by its own health check" "never"; }
say "ready by its own health check" yes

[ "$("$engine" exec "$name" id --user)" = 10001 ] || fail "not root" "user $("$engine" exec "$name" id --user)"
say "not root" "user 10001"
! "$engine" exec "$name" sh -c 'touch /opt/pasarela/x || touch /x' 2> /dev/null || fail "file system read-only" "it is not"
say "file system read-only" yes

found=$("$here/.venv/bin/pasarela" detect "$here/docs/images/samples/1.jpg" --url "127.0.0.1:$port" --json)
[[ $found == *skirt* ]] || fail "finds garments" "$found"
say "finds garments" yes

"$engine" stop --time 35 "$name" > /dev/null
code=$("$engine" inspect --format '{{.State.ExitCode}}' "$name")
[ "$code" = 0 ] || fail "stops in good order" "exit code $code"
say "stops in good order" "exit code 0"
