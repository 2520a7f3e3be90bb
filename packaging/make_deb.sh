#!/usr/bin/env bash
# Makes a Debian package of the built programs, and says where it is.
#
#   make_deb.sh BUILD-FOLDER OUTPUT-FOLDER
set -euo pipefail
build=$1 output=$2
here=$(dirname "$0")
version=$("$build/gantry" --version | awk '{print $2}')
architecture=$(dpkg --print-architecture)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"

"$here/install.sh" "$build" /usr "$tree"

# The packages of the libraries that the programs are linked with, in the oldest version that has their symbols.
mkdir -p "$tree/debian" "$tree/DEBIAN"
touch "$tree/debian/control"
libraries=$(cd "$tree" && dpkg-shlibdeps -O usr/bin/gantry usr/bin/gantry-supervisor usr/bin/gantry-oci 2> /dev/null)
rm -r "$tree/debian"

cat > "$tree/DEBIAN/control" <<EOF
Package: gantry
Version: $version
Architecture: $architecture
Maintainer: The Gantry maintainers <maintainers@gantry.invalid>
Section: admin
Priority: optional
Installed-Size: $(du -sk "$tree" | cut -f1)
Depends: ${libraries#shlibs:Depends=}
Recommends: libcurl4, libisal2, git, openssh-client
Suggests: uidmap, passt
Description: runs stacks of containers from Compose files, and keeps them running
 Gantry is a container engine with a runtime, networks, an image store and a
 builder of its own, and an orchestrator for stacks of services: plans, rolling
 updates without an outage, and repair of what was changed behind its back.
EOF
cat > "$tree/DEBIAN/postinst" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    # Who is in it may do what root may do: nobody is at first.
    getent group gantry > /dev/null || groupadd --system gantry
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        if [ -z "$2" ]; then systemctl enable --now gantry.socket gantry.service
        # Containers run on while the engine is replaced.
        else systemctl try-restart gantry.service; fi
    fi
fi
EOF
cat > "$tree/DEBIAN/prerm" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now gantry.socket gantry.service
fi
EOF
cat > "$tree/DEBIAN/postrm" <<'EOF'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
if [ "$1" = purge ]; then rm -rf /var/lib/gantry; fi
EOF
chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm" "$tree/DEBIAN/postrm"
mkdir -p "$output"
dpkg-deb --root-owner-group --build "$tree" "$output/gantry_${version}_$architecture.deb"
