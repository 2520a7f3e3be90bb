#!/bin/sh
# Runs on the root ($1) after the packages are installed. The key that ssl-cert made is new in each build, and a private
# key has no place in an image.
rm "$1/etc/ssl/private/ssl-cert-snakeoil.key" "$1/etc/ssl/certs/ssl-cert-snakeoil.pem"
