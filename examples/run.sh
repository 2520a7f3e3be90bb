#!/usr/bin/env bash
# Tries examples from `gantry up`, which builds their images, to `gantry down -v`.
#
#   run.sh [NAME...]            inception, flask-redis, …; all when none is named
#
# In a private copy of this host with a way out (Tests/EndToEnd/private_host.sh --uplink), with an engine and a data folder
# of its own: the host gets no link, no rule and no mount, and after the last example, or a failure, or Ctrl-C, nothing is
# left but the cache of images that stand for a registry's ($GANTRY_EXAMPLES_CACHE, see images/build.sh).
# GANTRY names the program (default: the release build); GANTRY_EXAMPLES_VERBOSE=1 shows what the builds say.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
GANTRY=$(realpath -m "${GANTRY:-$here/../.build/release/gantry}")
all=(inception flask-redis node-postgres worker-queue monitoring static-site)
# What the stacks and their Dockerfiles name, and a registry would have.
images=(debian redis postgres)

fail() { printf 'examples: %s\n' "$*" >&2; exit 1; }

# What an engine could leave, as lines.
left() { ip -o link | awk '{ print $2 }'; nft list ruleset; cut -d ' ' -f 5 /proc/self/mountinfo | sort; }

inside() {
    local name begun result status=0 before lines=()
    before=$(left)
    "$here/images/build.sh" --gantry "$GANTRY" "${images[@]}"
    for name in "$@"; do
        begun=$(date +%s%N)
        result=ok
        python3 "$here/$name/check.py" || { result=FAILED; status=1; }
        # Tenths of a second, as bash has no fractions.
        lines+=("$(printf '%-14s %-7s %6.1f s' "$name" $result "$((($(date +%s%N) - begun) / 100000000))e-1")")
    done
    "$GANTRY" engine stop
    # The last links of containers go with their namespaces, a moment later.
    for _ in $(seq 50); do
        [ "$(left)" != "$before" ] || break
        sleep 0.1
    done
    if ! diff <(echo "$before") <(left); then
        echo 'examples: the engine left what is marked with >' >&2
        status=1
    fi
    printf 'examples: %s\n' "${lines[@]}"
    return $status
}

if [ "${1:-}" = --inside ]; then
    shift
    export GANTRY PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
    inside "$@"
    exit
fi

[ "$(id -u)" = 0 ] || fail 'needs root: containers get networks of their own'
[ -x "$GANTRY" ] || fail "no program $GANTRY; run \`make build\` first"
command -v slirp4netns > /dev/null || fail 'no slirp4netns here (the Debian package of that name)'
[ $# -gt 0 ] || set -- "${all[@]}"
for name in "$@"; do [ -e "$here/$name/check.py" ] || fail "no example $name"; done

# Made out here, where an interrupted run cannot leave it half done.
"$here/images/build.sh" --no-load "${images[@]}" > /dev/null
work=$(mktemp -d /var/tmp/gantry-examples.XXXXXX)
child=
stop() { [ -z "$child" ] || kill "$child" 2> /dev/null || true; [ -z "$child" ] || wait "$child" || true; exit "$1"; }
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
GANTRY=$GANTRY GANTRY_DATA_ROOT=$work/data TMPDIR=$work \
    "$here/../Tests/EndToEnd/private_host.sh" --uplink "$here/run.sh" --inside "$@" &
child=$!
status=0
wait "$child" || status=$?
exit $status
