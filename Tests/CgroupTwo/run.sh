#!/usr/bin/env bash
# run.sh [--filter PATTERN]: the runtime's tests on a kernel whose only cgroup hierarchy is v2 with every controller, in
# an emulated machine of Debian's cloud kernel and what this host has built. Needs no root, no KVM and no network once
# the kernel is in the cache. Everything is slower than usual there by ten to thirty times: for function, not for time.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${TEST_BUILD:-.build-test}
cache=${CGROUP2_CACHE:-$build/kernel}
seconds_max=${CGROUP2_SECONDS:-900}
# Not the ones that race against time.
filter='CgroupTests|LifecycleTests|ResourceTests|ExecTests|ProcessTests|MountTests'
[ "${1:-}" != --filter ] || filter=$2

bundle=$(find -L "$build/debug/" -maxdepth 1 -name '*.xctest' -type f | head -n 1)
supervisor=$build/debug/gantry-supervisor
[ -n "$bundle" ] && [ -x "$supervisor" ] || {
	echo "run.sh: no tests are built in $build" >&2
	exit 2
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The newest kernel of this Debian, unpacked and never installed.
fetch_kernel() {
	compgen -G "$cache/boot/vmlinuz-*" > /dev/null && return
	mkdir -p "$cache"
	local package
	newest() { apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }'; }
	package=$(newest)
	[ -n "$package" ] || { ${SUDO:-} apt-get update -q && package=$(newest); }
	echo "fetching $package"
	(cd "$scratch" && apt-get download -qq "$package" && dpkg -x "$package"_*.deb kernel)
	cp -r "$scratch/kernel/boot" "$scratch/kernel/lib" "$cache/"
}

# Copies a program with the libraries it names.
add_program() {
	local source=$1 target=$2
	install -D "$source" "$root$target"
	strip --strip-debug "$root$target"
	{ ldd "$source" 2> /dev/null || true; } | awk '$3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' |
		while read -r library; do
			[ -e "$root$library" ] || install -D "$(readlink -f "$library")" "$root$library"
		done
}

make_disk() {
	root=$scratch/root
	mkdir -p "$root"/{bin,sbin,proc,sys,dev,tmp,run,etc,root,var/tmp,usr/bin}
	install /bin/busybox "$root/bin/busybox"
	local tool
	for tool in $(/bin/busybox --list); do [ "$tool" = busybox ] || ln -s busybox "$root/bin/$tool"; done
	# The supervisor is looked for beside the tests.
	add_program "$bundle" /tests/tests.xctest
	add_program "$supervisor" /tests/gantry-supervisor
	printf 'root:x:0:0:root:/root:/bin/sh\n' > "$root/etc/passwd"
	printf 'root:x:0:\n' > "$root/etc/group"
	cat > "$root/tests/start" <<-'EOF'
		#!/bin/sh
		export PATH=/bin:/sbin HOME=/root
		mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
		mkdir -p /dev/pts /dev/shm /dev/mqueue; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		ip link set lo up
		echo "cgroup v2: $(cat /sys/fs/cgroup/cgroup.controllers)"
		/tests/tests.xctest --testing-library swift-testing --no-parallel --filter "$(cat /tests/filter)" 2>&1
		echo "@@status $?"
		left=$(find /sys/fs/cgroup -name 'gantry*' | head)
		[ -z "$left" ] || echo "@@left $left"
		poweroff -f
	EOF
	chmod +x "$root/tests/start"
	printf '%s\n' "$filter" > "$root/tests/filter"
	truncate -s 1G "$scratch/disk"
	mke2fs -q -t ext4 -O ^has_journal -d "$root" "$scratch/disk"
}

# Nothing but what it takes to mount the disk.
make_initramfs() {
	local initial=$scratch/initial name module
	mkdir -p "$initial"/{bin,proc,dev,disk,modules}
	install /bin/busybox "$initial/bin/busybox"
	for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk overlay; do
		module=$(find "$cache/lib/modules" -name "$name.ko*" | head -n 1)
		[ -z "$module" ] || cp "$module" "$initial/modules/"
	done
	cat > "$initial/init" <<-'EOF'
		#!/bin/busybox sh
		b=/bin/busybox
		for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk overlay; do
			[ ! -e /modules/$m.ko ] || $b insmod /modules/$m.ko
		done
		$b mount -t devtmpfs dev /dev
		for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/vda ] && break; $b sleep 0.2; done
		$b mount -t ext4 /dev/vda /disk
		$b mount --move /dev /disk/dev
		exec $b switch_root /disk /tests/start
	EOF
	chmod +x "$initial/init"
	(cd "$initial" && find . | cpio -o -H newc --quiet | gzip -1 > "$scratch/initramfs")
}

fetch_kernel
make_disk
make_initramfs
log=$scratch/log
timeout "$seconds_max" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 2048 -smp 2 -nographic -no-reboot -nic none \
	-drive "file=$scratch/disk,if=virtio,format=raw,cache=unsafe" -kernel "$cache"/boot/vmlinuz-* \
	-initrd "$scratch/initramfs" -append 'console=ttyS0 panic=-1 loglevel=3 mitigations=off' < /dev/null 2>&1 |
	tr -d '\r' | tee "$log" | { grep --line-buffered -E -o 'cgroup v2: .*|.*✘.*|Test run with.*|^@@left.*' || true; }

status=$(sed -n 's/^@@status //p' "$log")
[ "$status" = 0 ] && ! grep -q '^@@left' "$log" && exit 0
cp "$log" "$build/cgroup2.log"
echo "the tests on cgroup v2 have failed: $build/cgroup2.log"
exit 1
