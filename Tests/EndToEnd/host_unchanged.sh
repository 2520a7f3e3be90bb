#!/usr/bin/env bash
# Checks that Gantry leaves a host as it found it: takes a picture of links, addresses, routes, kernel settings, the nft
# ruleset, mounts, cgroups, processes and run-time files; brings a stack up with an engine started on demand; takes all
# of it away; and compares. Runs in a private copy of this host (private_host.sh), so whatever it would leave goes too.
#
#   host_unchanged.sh [GANTRY]                  default: .build/release/gantry; needs root
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
package=$(cd "$here/../.." && pwd)
gantry=$(realpath -m "${1:-${GANTRY_BIN:-$package/.build/release/gantry}}")
[ -x "$gantry" ] || { echo "host_unchanged.sh: no program $gantry" >&2; exit 2; }
if [ "${GANTRY_PRIVATE_HOST:-}" != 1 ]; then
    GANTRY_PRIVATE_HOST=1 exec "$here/private_host.sh" "$0" "$gantry"
fi

work=$(mktemp -d /tmp/gantry-unchanged.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
export GANTRY_DATA_ROOT=$work/data GANTRY_EXEC_ROOT=$work/exec GANTRY_HOST=unix://$work/gantry.sock
mkdir "$work/before" "$work/after" "$work/stack"

# One file a kind of thing, sorted where the order says nothing. No counters: they change by themselves.
picture() {
    ip -o link | sed 's/^[0-9]*: //' > "$1/links"
    ip -o addr | awk '{ print $2, $3, $4 }' > "$1/addresses"
    { ip route show table all; ip rule; ip netns list; } > "$1/routes"
    nft list ruleset > "$1/nft"
    # Counters go on by themselves.
    { iptables-save; ip6tables-save; } 2> /dev/null | sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]//' > "$1/iptables" || true
    find /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/{all,default,lo,uplink0} \
        /proc/sys/net/ipv6/conf/{all,default,lo,uplink0} /proc/sys/net/bridge -type f -readable ! -name stable_secret -print0 2>/dev/null |
        sort -z | xargs -0 grep -H . > "$1/settings" || true
    cut -d ' ' -f 4- /proc/self/mountinfo | sort > "$1/mounts"
    find /sys/fs/cgroup -type d | sort > "$1/cgroups"
    # What cgroup v2 hands down to its children.
    find /sys/fs/cgroup -maxdepth 2 -name cgroup.subtree_control -exec grep -H . {} + | sort > "$1/controllers" || true
    # Without this script and what it runs to look.
    ps -e -o args= | grep -vE "host_unchanged.sh|ps -e -o|grep -vE" > "$1/processes" || true
    find /run | sort > "$1/runtime-files"
}

step() { printf '%s\n' "host unchanged: $*"; }
check() { [ "$2" = "$3" ] || { printf 'host unchanged: %s: %s instead of %s\n' "$1" "$2" "$3" >&2; exit 1; }; }

cat > "$work/stack/compose.yaml" <<'END'
name: unchanged
services:
  web:
    image: busybox:latest
    command: ["httpd", "-f", "-p", "80", "-h", "/site"]
    stop_signal: SIGKILL
    scale: 3
    networks: [front, back]
    ports: ["127.0.0.1:18080:80"]
    configs:
      - source: page
        target: /site/index.html
    secrets: [word]
    depends_on:
      store:
        condition: service_healthy
  store:
    image: busybox:latest
    command: ["sh", "-c", "trap 'exit 0' TERM; echo kept > /data/file; while :; do sleep 60 & wait $$!; done"]
    networks: [back]
    volumes: ["data:/data"]
    tmpfs: [/scratch]
    healthcheck:
      test: ["CMD", "test", "-s", "/data/file"]
      interval: 200ms
networks:
  front:
  back:
    internal: true
volumes:
  data:
configs:
  page:
    file: ./page.html
secrets:
  word:
    file: ./word.txt
END
echo 'all is well' > "$work/stack/page.html"
echo 'not so secret' > "$work/stack/word.txt"
cd "$work/stack"
# A host with an uplink, and somebody's rules.
ip link add uplink0 type veth peer name uplink1
# Link-local addresses would come a moment later than the picture.
ip link set uplink0 addrgenmode none
ip link set uplink1 addrgenmode none
ip link set uplink1 up
ip addr add 192.0.2.2/24 dev uplink0
ip link set uplink0 up
ip route add default via 192.0.2.1
iptables -N SOMEBODY
iptables -A FORWARD -i eth7 -j SOMEBODY
iptables -P FORWARD DROP
ip6tables -A FORWARD -i eth7 -j DROP
python3 "$package/examples/images/image.py" busybox --output "$work/busybox.tar"

picture "$work/before"
step 'up'
"$gantry" load -q -i "$work/busybox.tar"
"$gantry" up -d --wait
check 'containers that run' "$("$gantry" ps -q | wc -l)" 4
check 'the published port' "$(busybox wget -q -O - http://127.0.0.1:18080/)" 'all is well'
check 'a one-off command' "$("$gantry" run --rm -T store cat /data/file)" 'kept'
if nft list ruleset | cmp -s - "$work/before/nft"; then check 'the firewall with a stack' 'unchanged' 'changed'; fi
mkdir "$work/during"
picture "$work/during"
check "others' rules with a stack" "$(diff "$work/before/iptables" "$work/during/iptables")" ''
check 'settings with a stack' "$(diff "$work/before/settings" "$work/during/settings" | grep '^[<>]' |
    grep -vE 'conf/uplink0/(forwarding|force_forwarding|mc_forwarding):')" ''

step 'down'
"$gantry" down -v
check 'containers after down' "$("$gantry" ps -a -q | wc -l)" 0
"$gantry" engine stop
# The last processes and cgroups end asynchronously; they get five seconds.
for _ in $(seq 50); do
    picture "$work/after"
    ! diff -r "$work/before" "$work/after" > "$work/difference" || break
    sleep 0.1
done
if [ -s "$work/difference" ]; then
    step 'FAILED, this is left (<: before, >: after)'
    cat "$work/difference"
    exit 1
fi
step "ok ($(ls "$work/before" | tr '\n' ' '))"
