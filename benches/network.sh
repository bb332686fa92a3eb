#!/usr/bin/env bash
# Measures a check and a download on a line with a round trip of 50 ms, and aria2 on the same line
# in the same run.
#
#   benches/network.sh
#
# The line is `tc netem` in a network namespace if the kernel supports it. Otherwise it is a relay
# that delays both directions and the opening of a connection, without TCP slow start. The output
# names the kind of line.
set -euo pipefail
if [ -z "${LINE:-}" ]; then
  if unshare -n bash -c 'ip link set lo up && tc qdisc add dev lo root netem delay 25ms' 2>/dev/null; then
    exec env LINE=netem unshare -n bash -c 'ip link set lo up && tc qdisc add dev lo root netem delay 25ms && exec "$0"' "$0"
  fi
  export LINE=relay
fi
. "$(dirname "$0")/lib.sh"
serve
cd "$work"
objects=1000 bytes=20000 runs=3
relays=()
trap 'for relay in "${relays[@]}"; do kill "$relay" 2>/dev/null || true; done; finish' EXIT

# Starts a relay to a port with a delay in ms. Sets $port to the relay's port; the relay writes byte
# counts to $work/counts.
line() {
  python3 "$project/benches/relay.py" "$1" "$2" "$work/counts" >"$work/port" &
  relays+=($!)
  until [ -s "$work/port" ]; do sleep 0.05; done
  port=$(cat "$work/port")
  : >"$work/port"
}

line "${url##*:}" 0
counted=http://127.0.0.1:$port
if [ "$LINE" = relay ]; then
  line "${url##*:}" 25
  url=http://127.0.0.1:$port
fi

python3 - "$objects" "$bytes" <<'X'
import os, random, sys
random.seed(1)
os.makedirs("build/files")
for number in range(int(sys.argv[1])):
    with open(f"build/files/{number}", "wb") as file:
        file.write(random.randbytes(int(sys.argv[2]) - 30))
X
"$bin/manifest-tool" keygen release --bits 3072 >/dev/null
mkdir first && echo 1 >first/only
sign() { "$bin/manifest-tool" sign "$1" --site site --key release.key.pem --component core --version "$2" --base-url "$3/core/" >/dev/null; }
patcher() { "$bin/patcher" --root "$root" --key release.pub.pem "$@"; }

# A check that finds nothing new, through a relay that counts bytes.
root=inst
sign first 1.0.0 "$counted"
patcher install core --from "$counted/core/manifest.xml" >/dev/null
patcher check core >/dev/null
sleep 0.3
: >counts && : >nginx/access.log && touch before && sleep 0.05
patcher check core >/dev/null
sleep 0.3
echo '| a check that finds nothing new | |'
echo '|---|---|'
echo "| requests: status | $(awk '{ print $3 }' nginx/access.log | paste -sd' ') |"
echo "| bytes up and down, headers included | $(paste -sd' ' counts) |"
echo "| files written | $(find inst -newer before -type f -printf '%P ' | sed 's/ $//') |"
if command -v strace >/dev/null; then
  strace -f -o trace -e trace=fsync,fdatasync,rename,renameat,renameat2,write,pwrite64,ftruncate -y "$bin/patcher" \
    --root inst --key release.pub.pem check core >/dev/null
  echo "| calls on files of the root: fsync, rename, write | $(for call in 'fsync|fdatasync' 'rename' 'write|pwrite64'; do
    grep -E "^[0-9]+ +($call)[a-z0-9]*\(" trace | grep -c "$work/inst" || true
  done | paste -sd' ') |"
fi

# Fetches all objects, alternately with the client and with aria2.
rm -rf site/core
root=old
sign first 1.0.0 "$url"
patcher install core --from "$url/core/manifest.xml" >/dev/null
sign build 2.0.0 "$url"
(cd site && find core/objects -type f -printf "$url/%p\n") | sort >list
root=inst
ours=() theirs=()
for _ in $(seq $runs); do
  rm -rf inst && cp -r old inst
  ours+=("$(seconds patcher download core)")
  rm -rf got && mkdir got
  theirs+=("$(seconds aria2c -j4 -q --console-log-level=error -d got -i list)")
  [ "$(find got -type f | wc -l)" -ge "$objects" ]
done
a=$(median "${ours[@]}") b=$(median "${theirs[@]}")
echo
echo "| $objects objects of $bytes bytes, a round trip of 50 ms ($LINE) | download | \`aria2c -j4\` | ratio |"
echo '|---|---|---|---|'
echo "| seconds, medians of $runs | $(printf '%.2f' "$a") | $(printf '%.2f' "$b") | $(ratio "$a" "$b") |"

# The bytes that pass a rate limit in ten seconds of a running download. On a line with a delay,
# four small objects at a time can be slower than the limit.
staged() { find inst/.patcher/stage/core -type f -printf '%s\n' | paste -sd+ | bc; }
limited() { # title, site, limit in KiB
  local client start before got took
  rm -rf inst && cp -r old inst
  "$bin/patcher" --root "$root" --key release.pub.pem --site "$2" --rate-limit "$3K" download core >/dev/null 2>&1 &
  client=$!
  sleep 2
  before=$(staged) start=$EPOCHREALTIME
  sleep 10
  got=$(($(staged) - before)) took=$(echo "$EPOCHREALTIME - $start" | bc)
  kill "$client"
  wait "$client" || true
  printf '| %s | %d | %.0f | %.3f |\n' "$1" "$(($3 * 1024))" "$(echo "$got / $took" | bc)" \
    "$(echo "scale=4; $got / $took / $3 / 1024" | bc)"
}
echo
echo '| `--rate-limit`, the same objects | limit, bytes a second | bytes a second | of the limit |'
echo '|---|---|---|---|'
if [ "$LINE" = relay ]; then limited 'without a delay' "$counted" 1500; fi
limited 'a round trip of 50 ms' "$url" 500
limited 'a round trip of 50 ms' "$url" 1500
