#!/bin/sh
# A program in shell that keeps itself up to date by way of the command line.
#
# It lies in ROOT/app/, with `patcher`, `patcher-helper` and `release.pub.pem` beside it.
set -u
here=$(cd "$(dirname "$0")" && pwd)

patcher() {
    "$here/patcher" --root "$here/.." --key "$here/release.pub.pem" --json "$@"
}

# Becomes the newest version, if there is one: then this does not return.
update() {
    patcher check app
    [ $? -eq 10 ] || return 0 # 0: up to date; 20 and above: not this time
    for attempt in 1 2 3; do
        patcher download app # goes on at the byte where it stopped
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
patcher confirm # it works; without a word from it the old version would come back
