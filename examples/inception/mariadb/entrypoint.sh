#!/bin/bash
# Makes the database at the first start, without a server in the background, and becomes the server.
set -euo pipefail

# Only the server is special; any other command runs as it is.
[ "${1:-}" = mariadbd ] || exec "$@"

data=/var/lib/mysql
install -d -o mysql -g mysql -m 750 "$data"
install -d -o mysql -g mysql /run/mysqld

# A text as it stands in SQL.
quoted() { printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g"; }

if [ ! -e "$data/.made" ]; then
    echo 'entrypoint: making the database' >&2
    # What a first start that was killed left.
    find "$data" -mindepth 1 -delete
    mariadb-install-db --user=mysql --datadir="$data" --skip-test-db \
        --auth-root-authentication-method=normal > /dev/null
    password=$(quoted "$(< "$MARIADB_PASSWORD_FILE")")
    root_password=$(quoted "$(< "$MARIADB_ROOT_PASSWORD_FILE")")
    mariadbd --bootstrap <<END_OF_SQL
FLUSH PRIVILEGES;
-- Made for the name of this container, which the next one does not have.
DELETE FROM mysql.global_priv WHERE Host NOT IN ('localhost', '');
DELETE FROM mysql.proxies_priv WHERE Host NOT IN ('localhost', '');
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '$root_password';
CREATE DATABASE \`$MARIADB_DATABASE\` CHARACTER SET utf8mb4;
CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';
END_OF_SQL
    touch "$data/.made"
fi

exec "$@"
