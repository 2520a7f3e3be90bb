#!/bin/sh
# Runs on the root ($1) after the packages are installed. As in the public image the logs go to the container's output,
# and sites are files in /etc/nginx/conf.d; the package's own site would take port 80 from them.
ln -sf /dev/stdout "$1/var/log/nginx/access.log"
ln -sf /dev/stderr "$1/var/log/nginx/error.log"
rm "$1/etc/nginx/sites-enabled/default"
