#!/bin/sh
# A program in shell that keeps itself up to date with the command line program.
#
# It is installed in ROOT/app/, with `patcher`, `patcher-helper` and `release.pub.pem` beside it.
set -u
here=$(cd "$(dirname "$0")" && pwd)

patcher() {
    "$here/patcher" --root "$here/.." --key "$here/release.pub.pem" --json "$@"
}

# Becomes the newest version, if there is one. Then it does not return.
update() {
    patcher check app
    [ $? -eq 10 ] || return 0 # 0: up to date; 20 and above: an error
    for attempt in 1 2 3; do
        patcher download app # continues at the byte where it stopped
        code=$?
        [ $code -eq 20 ] || break
        echo "attempt $attempt was cut off" >&2
    done
    [ $code -eq 0 ] || return 0
    # The helper waits for the end of this process, swaps the files, and starts the program again.
    case $(patcher apply --wait-pid $$ --restart -- "$here/app.sh") in
        *'"scheduled":true'*) exit 0 ;;
    esac
}

update
echo "hello, this is $(cat "$here/version")"
patcher confirm # this version works; without this call the old one comes back
