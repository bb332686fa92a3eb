# shellcheck shell=bash
# Settings and functions that the scripts of this folder share. Each sources it first.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A test that lacks a program fails here instead of being left out.
export CI=true
# Debian keeps servers in the folders for administrators.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:${CARGO_HOME:-$HOME/.cargo}/bin"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# The S3 server of `.ci/programs` lies in a Python environment below the target folder.
export PATH="$PATH:$target/moto/bin"
# No debugger runs here, and nothing is built twice.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_INCREMENTAL=0
# Tests with servers and programs wait for a fifth of their time.
RUST_TEST_THREADS=$(($(nproc) + 1))
export RUST_TEST_THREADS

# Runs a command as root: directly, or by sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs Debian packages without starting the servers among them.
install_packages() (
    policy=/usr/sbin/policy-rc.d
    # Debian starts a server after its installation unless this script exits with 101.
    if [ ! -e $policy ]; then
        trap 'as_root rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy > /dev/null
        as_root chmod 755 $policy
    fi
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qy --no-install-recommends "$@"
)

# Prints a notice that no reader of the log overlooks.
left_out() {
    printf '\n*** LEFT OUT: %s (%s)\n\n' "${1^^}" "$2" >&2
    # `.ci/run` repeats all notices at its end.
    [ -z "${LEFT_OUT_FILE:-}" ] || printf '*** LEFT OUT: %s (%s)\n' "${1^^}" "$2" >> "$LEFT_OUT_FILE"
}

# The rest is for `.ci/run`.

max_seconds=2600

# Runs the script of this name with the arguments, and prints how long it took.
step() {
    local name=$1 start=$SECONDS
    printf '\n=== %s\n' "$*"
    ".ci/$name" "${@:2}" || failed "$name"
    printf '=== %s: %d s\n' "$name" $((SECONDS - start))
}

# Runs a script that a slow machine may leave out: it starts by a time and stops at the limit.
step_if_time() {
    local latest=$1 name=$2 status=0
    if [ $SECONDS -gt "$latest" ]; then
        left_out "${*:2}" "$SECONDS s have passed; it starts within $latest s"
        return
    fi
    printf '\n=== %s\n' "${*:2}"
    timeout --kill-after 10 $((max_seconds - SECONDS)) ".ci/$name" "${@:3}" || status=$?
    case $status in
        0) printf '=== %s: done after %d s in all\n' "$name" $SECONDS ;;
        124 | 137) left_out "the rest of ${*:2}" "the limit is $max_seconds s" ;;
        *) failed "$name" ;;
    esac
}

failed() {
    printf '=== FAILED: %s (after %d s in all)\n' "$1" $SECONDS >&2
    exit 1
}
