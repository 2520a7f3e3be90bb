#!/bin/sh
# Runs on the new root ($1) before the packages are installed. The cluster is made at the container's first start, on
# its volume, so the package must not make one. Just-in-time compilation needs LLVM, 110 MB that the examples never use.
mkdir -p "$1/etc/postgresql-common"
echo 'create_main_cluster = false' > "$1/etc/postgresql-common/createcluster.conf"
cat > "$1/etc/dpkg/dpkg.cfg.d/no-llvm" <<'END'
path-exclude=/usr/lib/*/libLLVM*
path-exclude=/usr/lib/llvm*
path-exclude=/usr/lib/postgresql/*/lib/llvmjit*
path-exclude=/usr/lib/postgresql/*/lib/bitcode/*
END
