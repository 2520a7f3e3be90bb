#!/usr/bin/env bash
# Makes the images of the examples from Debian packages, and loads them into the engine.
#
#   build.sh [--no-load] [--gantry PROGRAM] [IMAGE...]      IMAGE: a folder here that has an image.json, or debian, busybox
#
# `debian` is debian:bookworm, which the Dockerfiles of the examples start from. Without this script it is made by hand:
#   mmdebstrap --variant=minbase bookworm - | gantry import --change 'CMD ["bash"]' - debian:bookworm
#
# The archives are kept in $GANTRY_EXAMPLES_CACHE (default ${XDG_CACHE_HOME:-/var/cache}/gantry-examples), named by the
# hash of all that went into them, so a second run only loads. With access to a registry none of this is needed: the
# names are those of the public images. Needs root (mmdebstrap makes a root file system), mmdebstrap and python3.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${GANTRY_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-/var/cache}/gantry-examples}
suite=bookworm
gantry=${GANTRY:-gantry}
load=yes
# Time stamps inside the images; nothing in them is newer, so the same packages give the same bytes.
export SOURCE_DATE_EPOCH=1704067200
export LC_ALL=C

fail() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

# Options that apt needs on this host to reach its mirror (proxies, clocks that are off), for mmdebstrap's own apt.
host_apt_options() {
    apt-config dump 2>/dev/null |
        grep -E '^Acquire::(https?::[^ ]*[Pp]roxy|Check-Valid-Until|Check-Date)[^ ]* "[^"]+";$' || true
}

# Where packages come from: this host's own Debian sources if it runs the suite, otherwise Debian's.
mirrors() {
    if [ -n "${GANTRY_EXAMPLES_MIRROR:-}" ]; then
        printf '%s\n' "$GANTRY_EXAMPLES_MIRROR"
    elif grep -qs "^Suites:.*\b$suite\b" /etc/apt/sources.list.d/debian.sources; then
        printf '%s\n' /etc/apt/sources.list.d/debian.sources
    elif grep -qsE "^deb .*\b$suite\b" /etc/apt/sources.list; then
        printf '%s\n' /etc/apt/sources.list
    else
        printf '%s\n' http://deb.debian.org/debian
    fi
}

# make_root PACKAGES FOLDER FILE: a Debian root with the packages (comma separated) as a tar file. The folder's scripts
# setup.sh and finish.sh, if they are there, get the root's path before and after the packages are installed.
make_root() {
    local packages=$1 folder=$2 output=$3 option
    local arguments=(
        --quiet --mode=root --format=tar --variant=essential
        --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=path-include='/usr/share/doc/*/copyright'
        --dpkgopt=path-exclude='/usr/share/man/*' --dpkgopt=path-exclude='/usr/share/info/*'
        --dpkgopt=path-exclude='/usr/share/locale/*' --dpkgopt=path-exclude='/usr/share/lintian/*'
        --dpkgopt=force-confold --aptopt='APT::Install-Recommends "false"'
        # Alternatives of excluded manual pages still want the folders.
        --essential-hook='mkdir -p "$1/usr/share/man/man1" "$1/usr/share/man/man7"'
    )
    while read -r option; do arguments+=("--aptopt=$option"); done < <(host_apt_options)
    [ -z "$packages" ] || arguments+=("--include=$packages")
    [ ! -e "$folder/setup.sh" ] || arguments+=("--essential-hook=sh '$folder/setup.sh' \"\$1\"")
    [ ! -e "$folder/finish.sh" ] || arguments+=("--customize-hook=sh '$folder/finish.sh' \"\$1\"")
    # In a mount namespace of its own, so that not even an interrupted run leaves a mount on the host.
    unshare --mount --propagation private mmdebstrap "${arguments[@]}" "$suite" "$output.part" $(mirrors)
    mv "$output.part" "$output"
}

hash_of() { find "$@" -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c 1-16; }

base_file() { printf '%s/base-%s.tar' "$cache" "$(hash_of "$here/build.sh")"; }

archive_of() {
    case $1 in
    busybox) printf '%s/busybox-%s.tar' "$cache" "$(hash_of "$here/image.py" "$(command -v busybox)")" ;;
    # The host's options for apt and its mirrors are in this image.
    debian)
        printf '%s/debian-%s.tar' "$cache" \
            "$({ hash_of "$here/debian" "$here/image.py" "$here/build.sh"; host_apt_options; mirrors; } | sha256sum | cut -c 1-16)"
        ;;
    *) printf '%s/%s-%s.tar' "$cache" "$1" "$(hash_of "$here/$1" "$here/image.py" "$here/build.sh")" ;;
    esac
}

# Docker's debian:bookworm: apt and what is required, with documentation, sources and the options this host's apt needs.
make_debian() {
    local option arguments=(
        --quiet --mode=root --format=tar --variant=minbase
        # Otherwise usrmerge comes, and all of Perl with it.
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr
        --customize-hook="sh '$here/debian/finish.sh' \"\$1\""
    )
    while read -r option; do arguments+=("--aptopt=$option"); done < <(host_apt_options)
    unshare --mount --propagation private mmdebstrap "${arguments[@]}" "$suite" "$1.part" $(mirrors)
    mv "$1.part" "$1"
}

build_base() {
    [ -e "$(base_file)" ] || make_root '' "$here/base" "$(base_file)"
}

build_image() {
    local name=$1 archive
    archive=$(archive_of "$name")
    [ ! -e "$archive" ] || return 0
    printf 'making image %s\n' "$name" >&2
    if [ "$name" = busybox ]; then
        python3 "$here/image.py" busybox --output "$archive"
        return
    fi
    work=$(mktemp -d "$cache/work.XXXXXX")
    # Not local: the trap runs after this function is gone.
    trap 'rm -rf "$work"' EXIT
    if [ "$name" = debian ]; then
        make_debian "$work/root.tar"
        python3 "$here/image.py" root --name "debian:$suite" --root "$work/root.tar" --output "$archive"
        return
    fi
    make_root "$(python3 "$here/image.py" packages "$here/$name/image.json")" "$here/$name" "$work/root.tar"
    python3 "$here/image.py" debian --spec "$here/$name/image.json" --base "$(base_file)" --root "$work/root.tar" \
        --overlay "$here/$name/root" --output "$archive"
}

images=()
step=
while [ $# -gt 0 ]; do
    case $1 in
    --no-load) load=no ;;
    --gantry) gantry=${2:?--gantry wants a program}; shift ;;
    --step) step=${2:?}; shift ;;    # used below: one image, in a process of its own
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) fail "unknown option $1" ;;
    *) images+=("$1") ;;
    esac
    shift
done
[ ${#images[@]} -gt 0 ] || images=(nginx postgres redis shop-app busybox)
for name in "${images[@]}"; do
    [[ $name = busybox || $name = debian ]] || [ -e "$here/$name/image.json" ] || fail "no image named $name"
done

case $step in
base) build_base; exit ;;
?*) build_image "$step"; exit ;;
esac

missing=()
for name in "${images[@]}"; do [ -e "$(archive_of "$name")" ] || missing+=("$name"); done
if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || fail 'making images needs root'
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    # What an image.json describes is on top of a base of its own.
    for name in "${missing[@]}"; do
        [ ! -e "$here/$name/image.json" ] || { "$here/build.sh" --step base; break; }
    done
    # Two at a time: one downloads while the other unpacks.
    printf '%s\n' "${missing[@]}" | xargs -P 2 -I{} "$here/build.sh" --step {}
    exec 9>&-
    # What older versions of the scripts made.
    for name in base "${missing[@]}"; do
        kept=$([ "$name" = base ] && base_file || archive_of "$name")
        find "$cache" -maxdepth 1 -name "$name-????????????????.tar" ! -path "$kept" -delete
    done
fi
for name in "${images[@]}"; do
    if [ "$load" = yes ]; then "$gantry" load -i "$(archive_of "$name")"; else archive_of "$name"; echo; fi
done
