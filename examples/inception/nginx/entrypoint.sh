#!/bin/sh
# Makes a certificate at the first start, in a volume that all replicas share, and becomes nginx.
set -eu

folder=/etc/nginx/tls
name=${SERVER_NAME:-localhost}

# Replicas start at the same time: one makes the certificate, the others wait for it.
exec 9> "$folder/lock"
flock 9
if [ ! -s "$folder/certificate.pem" ]; then
    echo "entrypoint: making a self-signed certificate for $name" >&2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 -subj "/CN=$name" \
        -addext "subjectAltName=DNS:$name,IP:127.0.0.1" \
        -keyout "$folder/key.pem" -out "$folder/certificate.pem.part"
    mv "$folder/certificate.pem.part" "$folder/certificate.pem"
fi
exec 9>&-

exec "$@"
