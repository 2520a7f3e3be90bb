#!/bin/sh
# Brings the volume up to the image's version of WordPress, and becomes php-fpm. What visitors uploaded, and the keys,
# stay as they are.
set -eu

# Only the server is special; any other command runs as it is.
[ "${1:-}" = php-fpm8.2 ] || exec "$@"

source=/usr/src/wordpress
site=/var/www/html

if [ ! -s "$site/wp-keys.php" ]; then
    echo 'entrypoint: making keys' >&2
    php8.2 -r '
        echo "<?php\n";
        foreach (["AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE"] as $name) {
            foreach (["KEY", "SALT"] as $kind) {
                printf("define(\"%s_%s\", \"%s\");\n", $name, $kind, bin2hex(random_bytes(32)));
            }
        }' > "$site/wp-keys.php.part"
    mv "$site/wp-keys.php.part" "$site/wp-keys.php"
fi

# The version file goes last: after a start that was killed, the copy is made again.
if ! cmp -s "$source/wp-includes/version.php" "$site/.version" || ! cmp -s "$source/wp-config.php" "$site/wp-config.php"
then
    echo 'entrypoint: copying WordPress into the volume' >&2
    cp -R "$source/." "$site/"
    cp "$source/wp-includes/version.php" "$site/.version"
fi

exec "$@"
