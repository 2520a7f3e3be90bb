#!/bin/bash
# Runs the end-to-end tests in network and mount namespaces of their own. Needs root.
#   Tests/EndToEnd/run.sh [unittest arguments]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
if [ "${GANTRY_E2E_INSIDE:-}" != 1 ]; then
    exec env GANTRY_E2E_INSIDE=1 unshare --net --mount --propagation private "$here/run.sh" "$@"
fi
ip link set lo up
# A route to nowhere stands for the host's uplink, so that address pools have something to avoid.
ip link add uplink0 type dummy 2>/dev/null && ip addr add 192.0.2.2/24 dev uplink0 && ip link set uplink0 up || true
export PYTHONDONTWRITEBYTECODE=1
if [ $# -eq 0 ]; then set -- discover -p 'test_*.py'; fi
exec python3 -m unittest -v "$@"
