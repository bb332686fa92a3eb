#!/usr/bin/env bash
# Measures what an update costs with this project and with other tools, and writes
# benches/results/bytes.md. Every result is compared with the expected files.
#
#   benches/fetch-releases.sh DIR && benches/bytes.sh [--keep | --so-far] [--only NAME,…] DIR
#   [PART…]
#
# PART is one or more of the following; default: table.
#   wire       all bytes and requests of an update, in both directions
#   install    all bytes and requests of a first installation
#   table      releases of real programs, from the release before and from the one before that
#   damaged    a file of 100 MB of which 1 % is damaged at unknown places
#   unchanged  `sign` of a tree that has not changed
#   many       100,000 small files: time and memory of each step
#   line       one update on a line of 20 Mbit/s (needs root, for a network namespace)
#   chain      ten releases back, delta by delta
#   gzip_size  the bytes that segments add to a gzip
#   apply      one delta of a large program, applied
#   archives   deltas of jars, zips, fonts and a PyInstaller program; DIR has the releases of benches/bytes/archives.txt
#
# --keep reuses the results of earlier runs (DIR/.bytes), except ours if our programs have changed
# since. Use it to continue an interrupted run, or to measure only ours again. --so-far writes the
# table from earlier results alone. --only measures only the named programs.
#
# Needs in PATH: nginx-light, bsdiff, xdelta3, zstd, zsync, casync and time from Debian, and bita
# (`cargo install bita`).
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
  # A network namespace whose loopback is the line. The MTU is 1500, because the bucket drops
  # packets larger than itself.
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
    document=$project/benches/results/bytes.md
    case "$part" in wire | install | archives) document=$project/benches/results/$part.md ;; esac
    python3 "$here/bytes" "$part" "$folder" "$document" "${flags[@]}"
  fi
done
