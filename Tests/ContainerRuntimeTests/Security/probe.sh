#!/bin/busybox sh
# Prints what the container it runs in can see and do, `name: value` on each line. Needs /bin/busybox and /calls
# (Programs/calls.c). HOST_NAMESPACES: the host's namespace links, to tell which of them are shared.
bb() { /bin/busybox "$@"; }
say() { echo "$1: $2"; }
field() { bb awk -v name="$1:" '$1 == name { print $2 }' /proc/self/status; }

say "user" "$(bb id -u):$(bb id -g), groups $(bb id -G)"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do say "capabilities, $set" "$(field $set)"; done
say "no_new_privs" "$(field NoNewPrivs)"
say "seccomp mode" "$(field Seccomp)"
# No node to open (2, ENOENT) is no device opened.
/calls 2>/dev/null | bb sed -E 's/^(open:[a-z]+) 2$/\1 1/' >/tmp/answers
say "risky calls refused" "$(bb grep -c -E ' (1|38)$' /tmp/answers) of $(bb wc -l </tmp/answers | bb tr -d ' ')"
say "risky calls let through" "$(bb grep -v -E ' (1|38)$' /tmp/answers | bb cut -d' ' -f1 | bb sort | bb tr '\n' ' ')"

# The first option of the mount that a path is on: ro or rw.
on() {
    bb awk -v path="$1/" '{
        point = $5 == "/" ? "/" : $5 "/"
        if (index(path, point) == 1 && length(point) >= best) { best = length(point); split($6, options, ","); found = options[1] }
    } END { print found }' /proc/self/mountinfo
}
# absent, hidden (empty), closed, read-only, writable. A file is opened for writing, nothing is written.
state() {
    if ! bb test -e "$1"; then echo absent
    elif bb test -d "$1" && [ -z "$(bb ls -A "$1" 2>/dev/null)" ]; then echo hidden
    elif bb test -c "$1" && [ "$(bb stat -c %t:%T "$1")" = 1:3 ]; then echo hidden
    elif bb test -d "$1"; then [ "$(on "$1")" = ro ] && echo read-only || echo writable
    elif ( : >>"$1" ) 2>/dev/null; then echo writable
    elif ( : <"$1" ) 2>/dev/null; then echo read-only
    else echo closed
    fi
}
for path in /proc/acpi /proc/asound /proc/bus /proc/fs /proc/interrupts /proc/irq /proc/kcore /proc/keys /proc/kmsg \
    /proc/kpagecount /proc/latency_stats /proc/sched_debug /proc/scsi /proc/slabinfo /proc/sys /proc/sysrq-trigger \
    /proc/timer_list /proc/timer_stats /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /sys /sys/firmware \
    /sys/devices/virtual/powercap /sys/kernel /sys/kernel/debug /sys/fs/bpf /sys/fs/selinux /sys/fs/cgroup \
    /sys/power /sys/module; do
    say "$path" "$(state $path)"
done
say "/dev" "$(bb ls /dev | bb sort | bb tr '\n' ' ')"
# Engines differ in what they bind over /etc and in the words of their own storage: neither is a matter of safety.
bb awk '{ for (i = 7; $i != "-"; i++); print $5, $(i + 1), $6 }' /proc/self/mountinfo |
    bb grep -v -E '^/(etc|run|proc/|sys/(dev|firm|fs/cg))' | bb sort | bb uniq | while read -r point type options; do
    say "mount $point" "$type $options"
done
say "limit of processes" "$(bb cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || bb cat /sys/fs/cgroup/pids.max 2>/dev/null || echo unknown)"
say "limit of open files" "$(ulimit -Sn) soft, $(ulimit -Hn) hard"
say "limit of core files" "$(ulimit -Sc)"
say "limit of locked memory" "$(ulimit -Sl)"
say "oom_score_adj" "$(bb cat /proc/self/oom_score_adj)"
say "umask" "$(umask)"
say "own cgroup as seen inside" "$(bb cut -d: -f3 /proc/self/cgroup | bb sort -u | bb tr '\n' ' ')"
shared=
for link in cgroup ipc mnt net pid time user uts; do
    own=$(bb readlink /proc/self/ns/$link)
    case " $HOST_NAMESPACES " in *" $own "*) shared="$shared$link " ;; esac
done
say "namespaces shared with the host" "$shared"
say "number of the first process" "$$"
say "network interfaces" "$(bb ls /sys/class/net | bb tr '\n' ' ')"
say "LSM label" "$(bb cat /proc/self/attr/current 2>/dev/null || echo none)"
say "descriptors" "$(bb ls /proc/self/fd | bb tr '\n' ' ')"
