#!/bin/bash
# What the public redis image does: options alone mean the server; the server runs as the user redis; protected mode is
# off, because in a container the only way in is a network that somebody attached.
set -euo pipefail
case "${1:-}" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ]; then
    set -- "$@" --protected-mode no
    if [ "$(id -u)" = 0 ]; then
        chown redis:redis .
        set -- setpriv --reuid redis --regid redis --init-groups "$@"
    fi
fi
exec "$@"
