#!/usr/bin/env bash
# Measures what an update costs, bytes first, here and with other tools, and writes benches/results/bytes.md: every result is checked.
#
#   benches/fetch-releases.sh DIR && benches/bytes.sh [--keep | --so-far] [--only NAME,…] DIR [PART…]
#
# PART is one or more of the following; `table` if none is given.
#   table      releases of real programs, from the release before and the one before that
#   damaged    100 MB of which 1 % is not as it should be, and nobody knows what
#   unchanged  `sign` of a tree that has not changed
#   many       100,000 small files: each step's time and memory
#   line       one update on a line of 20 Mbit/s (needs root, for a network namespace)
#   chain      ten releases back, delta by delta
#   gzip_size  what segments add to a gzip
#   apply      one delta of a large program, applied
#
# --keep takes over what earlier runs have measured (DIR/.bytes), but for ours if our programs have changed since: for a run
# that was interrupted, and to measure ours again alone. --so-far writes the table of what has been measured already. --only leaves out other programs' releases.
#
# Needs Debian's nginx-light, bsdiff, xdelta3, zstd, zsync, casync, time, and bita (`cargo install bita`) in PATH.
set -euo pipefail
usage='usage: bytes.sh [--keep | --so-far] [--only NAME,…] DIR [PART…]'
flags=()
while [ $# -gt 0 ]; do
  case "$1" in
    --keep | --so-far) flags+=("$1") && shift ;;
    --only) flags+=("$1" "${2:?$usage}") && shift 2 ;;
    -*) echo "$usage" >&2 && exit 2 ;;
    *) break ;;
  esac
done
folder=$(realpath "${1:?$usage}")
shift
[ $# -gt 0 ] || set -- table
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ "$*" = line ] && [ -z "${LINE:-}" ]; then
  # A namespace of its own, in which loopback is the line, with packets of the usual size: the bucket drops larger ones than it holds.
  export LINE=20mbit
  exec unshare -n bash -c 'ip link set lo mtu 1500 up && tc qdisc add dev lo root tbf rate $LINE burst 64kb latency 200ms && exec "$@"' \
    - "$here/bytes.sh" "${flags[@]}" "$folder" line
fi

. "$here/lib.sh"
serve
export WORK=$work BIN=$bin URL=$url PYTHONDONTWRITEBYTECODE=1
for part in "$@"; do
  if [ "$part" = line ] && [ -z "${LINE:-}" ]; then
    "$here/bytes.sh" "${flags[@]}" "$folder" line
  else
    python3 "$here/bytes" "$part" "$folder" "$project/benches/results/bytes.md" "${flags[@]}"
  fi
done
