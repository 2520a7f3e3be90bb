#!/usr/bin/env bash
# The demonstration of the README.
#
#   demo.sh up      makes the images, brings the shop up, asks it ten times, and says how to go on
#   demo.sh down    takes all of that away; only the image cache stays
#
# GANTRY names the program (default: the release build). The engine has its usual folders and socket.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
gantry=$(realpath -m "${GANTRY:-$here/../../.build/release/gantry}")
data_root=${GANTRY_DATA_ROOT:-/var/lib/gantry}
exec_root=${GANTRY_EXEC_ROOT:-/run/gantry}
socket=${GANTRY_HOST:-unix:///run/gantry.sock}
address=http://127.0.0.1:8080/
requests=10
# Says that the demo, and nobody before it, made the data folder, so `down` may take it away.
mark=$data_root/.made-by-demo

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail 'needs root: containers get networks of their own'
[ -x "$gantry" ] || fail "no program $gantry; run \`make build\` first"

ask() { python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode(), end="")' "$1"; }

up() {
    if [ ! -d "$data_root" ]; then
        mkdir -p -m 711 "$data_root"
        touch "$mark"
    fi
    say 'Images from Debian packages, and the engine, which starts when a command needs it'
    "$here/../images/build.sh" --gantry "$gantry" nginx postgres redis shop-app
    say 'gantry up -d --wait'
    cd "$here"
    "$gantry" up -d --wait
    say "$requests requests to $address"
    local answer answers=
    for _ in $(seq "$requests"); do
        answer=$(ask "$address")
        printf '%s\n' "$answer"
        answers+=${answer%%:*}$'\n'
    done
    local replicas
    replicas=$(printf '%s' "$answers" | sort -u | wc -l)
    printf '%s different replicas answered\n' "$replicas"
    [ "$replicas" -ge 2 ] || fail 'the requests all went to one replica'
    say 'gantry ps'
    "$gantry" ps
    how_to_go_on
}

how_to_go_on() {
    say 'How to go on'
    cat <<END
    cd $here
    alias gantry=$gantry
    gantry logs -f                   what the services say
    gantry up -d --scale app=5       more replicas; nginx finds them within a second
    gantry exec db psql -U shop      look into the database
    pkill -9 -f srv/shop/server.py   kill the replicas, and see: gantry ps
    gantry plan                      what \`up\` would change after an edit of compose.yaml
    make demo-down                   (in $(dirname "$(dirname "$here")")) take all of it away
END
}

down() {
    if [ ! -d "$data_root" ]; then
        echo 'demo: nothing to take away'
        return
    fi
    cd "$here"
    "$gantry" down -v
    if [ ! -e "$mark" ]; then
        echo "demo: Gantry was in use here before; the engine, and the images in $data_root, stay"
        return
    fi
    if [ -n "$("$gantry" ls -a -q)" ]; then
        echo 'demo: there are other stacks, so the engine stays; run `make demo-down` again when they are gone'
        return
    fi
    "$gantry" engine stop
    ! grep -qF " $data_root/" /proc/self/mountinfo || fail "something is still mounted below $data_root"
    rm -rf --one-file-system "$data_root" "$exec_root" "${socket#unix://}"
    echo 'demo: all is gone but the image cache'
}

case ${1:-} in
up | down) "$1" ;;
*) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
