#!/usr/bin/env bash
# Puts the built programs and what belongs to them in place.
#
#   install.sh BUILD-FOLDER PREFIX [DESTDIR]
set -euo pipefail
build=$1 prefix=$2 target=${3:-}
here=$(dirname "$0")
bin=$target$prefix/bin share=$target$prefix/share
units=$target/lib/systemd/system
[ "$prefix" = /usr ] || units=$target/etc/systemd/system

for program in gantry gantry-supervisor gantry-oci; do
    install -D -m 755 -s "$build/$program" "$bin/$program"
done
completion() { # SHELL FILE
    install -d "$(dirname "$2")"
    "$build/gantry" --generate-completion-script "$1" > "$2"
}
completion bash "$share/bash-completion/completions/gantry"
completion zsh "$share/zsh/vendor-completions/_gantry"
completion fish "$share/fish/vendor_completions.d/gantry.fish"
"$here/make_man_pages.py" "$build/gantry" "$share/man/man1"
gzip -9 -n -f "$share"/man/man1/gantry*.1
for unit in gantry.service gantry.socket; do
    install -d "$units"
    sed "s|/usr/local/bin/|$prefix/bin/|" "$here/$unit" > "$units/$unit"
done
install -D -m 644 "$here/../LICENSE" "$share/doc/gantry/copyright"
install -m 644 "$here/../README.md" "$share/doc/gantry/README.md"
# Who is in it may do what root may do: nobody is at first. A package makes it when it is installed.
if [ -z "$target" ] && ! getent group gantry > /dev/null; then groupadd --system gantry; fi
