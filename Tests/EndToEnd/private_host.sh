#!/usr/bin/env bash
# Runs a command in a private copy of this host: its own network, mount, process and cgroup namespaces, with only `lo`
# up, an empty nft ruleset, an empty /run, and otherwise the host's file systems. When the command ends, all it started
# and made in there ends with it, whatever state it was in. Used by tests and benchmarks; needs root.
#
#   private_host.sh [--uplink] COMMAND [ARGUMENT...]
#
# --uplink: with a way out. slirp4netns(1) gives it an eth0, and carries what comes out of it through sockets in the host's
# network, so that the host gets no link, route or rule. (With Debian 12's pasta, what is forwarded to it gets no answers.)
set -euo pipefail

# Mount points of cgroup file systems, with type and options: `/sys/fs/cgroup/memory cgroup rw,memory`.
cgroup_mounts() {
    awk '{ for (i = 7; i <= NF && $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/) print $5, $(i + 1), $(i + 3) }' \
        /proc/self/mountinfo
}

# In a cgroup namespace, and not yet in a process namespace: what waits out here for the command must leave the cgroup,
# too, or it could give no controllers to its children.
if [ "${1:-}" = --enter ]; then
    name=$2 uplink=$3
    shift 3
    mounts=$(cgroup_mounts)
    while read -r point type _; do
        [ "$type" = cgroup2 ] || continue
        mkdir -p "$point/$name/init"
        echo $$ > "$point/$name/init/cgroup.procs"
    done <<< "$mounts"
    exec unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc "$0" --inside "$uplink" "$@"
fi

# In here, so that slirp4netns ends with all the rest. Descriptor 9 is the host's network namespace.
start_uplink() {
    touch /run/uplink.namespace
    mount --bind /proc/self/ns/net /run/uplink.namespace
    nsenter --net=/proc/self/fd/9 slirp4netns --configure --mtu=65520 --disable-host-loopback --netns-type=path \
        /run/uplink.namespace eth0 > /run/uplink.log 2>&1 &
    exec 9<&-
    for _ in $(seq 100); do
        [ -z "$(ip route show default)" ] || return 0
        sleep 0.05
    done
    echo 'private_host.sh: no uplink:' >&2
    cat /run/uplink.log >&2
    exit 1
}

if [ "${1:-}" = --inside ]; then
    uplink=$2
    shift 2
    # Read to the end first: a process that still lists them would be in the cgroup that must have none.
    mounts=$(cgroup_mounts)
    while read -r point type options; do
        umount "$point"
        # The new mount shows our own cgroup as the root.
        if [ "$type" = cgroup2 ]; then
            mount -t cgroup2 cgroup2 "$point"
            # Controllers can be given to children only by a cgroup that holds no process itself.
            mkdir -p "$point/init"
            echo 0 > "$point/init/cgroup.procs"
            for controller in $(cat "$point/cgroup.controllers"); do
                echo "+$controller" > "$point/cgroup.subtree_control"
            done
        else
            mount -t cgroup -o "${options#rw,}" cgroup "$point"
        fi
    done <<< "$mounts"
    mount -t tmpfs -o mode=755 tmpfs /run
    ip link set lo up
    [ -z "$uplink" ] || start_uplink
    # The first process of a process namespace must reap what is orphaned, so it is this shell, not the command.
    "$@" <&0 &
    wait $!
    exit
fi

uplink=
if [ "${1:-}" = --uplink ]; then
    uplink=yes
    exec 9< /proc/self/ns/net
    shift
fi
[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
name=gantry-private-$$

remove_cgroups() {
    local point folder
    while read -r point _; do
        [ -d "$point/$name" ] || continue
        # Everything inside was killed with the process namespace; its end may take a moment.
        for _ in $(seq 50); do
            find "$point/$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [ -d "$point/$name" ] || break
            sleep 0.1
        done
    done < <(cgroup_mounts)
}
child=
stop() { [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true; exit "$1"; }
trap remove_cgroups EXIT
trap 'stop 130' INT
trap 'stop 143' TERM

while read -r point _; do
    mkdir "$point/$name"
    # cgroup v1: a cpuset without processors takes no process.
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$point/$file" ] || [ ! -e "$point/$name/$file" ] || cat "$point/$file" > "$point/$name/$file" || true
    done
done < <(cgroup_mounts)

(
    trap - EXIT
    while read -r point _; do echo "$BASHPID" > "$point/$name/cgroup.procs"; done < <(cgroup_mounts)
    exec unshare --cgroup "$0" --enter "$name" "$uplink" "$@"
) <&0 &
child=$!
status=0
wait "$child" || status=$?
exit $status
