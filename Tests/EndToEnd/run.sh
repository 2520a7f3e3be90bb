#!/usr/bin/env bash
# Runs the end-to-end tests in a private copy of this host. Needs root.
#   Tests/EndToEnd/run.sh [MODULE[.CLASS[.TEST]] ...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# Clients of other projects; in there is no network to fetch them through.
export GANTRY_TEST_CLIENTS=${GANTRY_TEST_CLIENTS:-$(realpath -m "$here/../../.build-test/clients")}
if [ "${1:-}" != --inside ]; then
    case "$*" in
        '' | *compose* | *testcontainers* | *docker_py* | *buildkit*)
            "$here/fetch_clients.sh" "$GANTRY_TEST_CLIENTS" || echo 'run.sh: the tests of fetched clients are skipped' >&2
            ;;
    esac
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
