#!/bin/sh
# Installs the C library: install.sh PREFIX [LIBRARIES]
#
# LIBRARIES is the folder of the shared and the static library. Without it, cargo builds them.
set -eu
prefix=$1
here=$(cd "$(dirname "$0")" && pwd)
libraries=${2:-}
if [ -z "$libraries" ]; then
    cargo build --release --manifest-path "$here/Cargo.toml"
    libraries=${CARGO_TARGET_DIR:-$here/../target}/release
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
mkdir -p "$prefix/lib/pkgconfig" "$prefix/lib/cmake/patcher" "$prefix/include"
cp "$libraries/libpatcher.a" "$prefix/lib/"
if [ -e "$libraries/patcher.dll" ]; then
    mkdir -p "$prefix/bin"
    cp "$libraries/patcher.dll" "$prefix/bin/"
    cp "$libraries/libpatcher.dll.a" "$prefix/lib/"
else
    cp "$libraries/libpatcher.so" "$prefix/lib/"
fi
cp "$here/include/patcher.h" "$prefix/include/"
sed "s|@VERSION@|$version|" "$here/patcher.pc.in" > "$prefix/lib/pkgconfig/patcher.pc"
cp "$here/patcher-config.cmake" "$prefix/lib/cmake/patcher/"
