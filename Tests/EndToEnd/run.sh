#!/usr/bin/env bash
# Runs the end-to-end tests in a private copy of this host. Needs root.
#   Tests/EndToEnd/run.sh [MODULE[.CLASS[.TEST]] ...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" != --inside ]; then
    exec "$here/private_host.sh" "$here/run.sh" --inside "$@"
fi
shift
cd "$here"
# A route to nowhere stands for the host's uplink, so that address pools have something to avoid.
ip link add uplink0 type veth peer name uplink1 && ip addr add 192.0.2.2/24 dev uplink0 && ip link set uplink0 up
export PYTHONDONTWRITEBYTECODE=1
if [ $# -eq 0 ]; then
    set -- test_*.py
    set -- "${@%.py}"
fi
exec python3 -m unittest -v "$@"
