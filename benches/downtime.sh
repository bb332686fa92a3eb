#!/usr/bin/env bash
# Measures the downtime of a program: from its exit, for which the helper waits, to the first action
# of the new version.
#
# For comparison, `bare` makes the same number of bare calls: one link and one rename for each file,
# one sync for each folder. It also measures these calls followed by a start of the new version.
# Figures are medians of five alternating runs.
#
#   benches/downtime.sh [FILES…]
#
# FILES are numbers of changed files of 4 kB, 100 in a folder; default: 10 1000 10000.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || set -- 10 1000 10000
runs=5
for program in bare started; do
  rustc --edition 2024 -O -o "$work/$program" "$(dirname "$0")/downtime/$program.rs"
done
serve
cd "$work"
"$bin/manifest-tool" keygen release --bits 2048 >/dev/null

patcher() { "$bin/patcher" --root inst --key release.pub.pem "$@" >/dev/null; }

# Builds and signs version $2: $1 files that no other version has.
build() {
  rm -rf build && mkdir build
  python3 - "$1" "$2" <<'X'
import os, random, sys
count, version = int(sys.argv[1]), sys.argv[2]
chance = random.Random(version)
for number in range(count):
    folder = f"build/{number // 100:03}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{number % 100:02}", "wb") as file:
        file.write(chance.randbytes(4096))
X
  "$bin/manifest-tool" sign build --site site --key release.key.pem --component core --version "$2.0.0" \
    --base-url "$url/core/" >/dev/null
}

# Prints the seconds from the exit of the old version to the first action of the new one.
downtime() {
  rm -rf inst && cp -a installed inst && rm -f started-at
  sync -f inst
  sleep 1000 & local app=$!
  disown $app
  patcher apply --wait-pid $app --restart -- "$work/started" "$work/started-at"
  until grep -qs "waiting for process $app" inst/.patcher/helper.log; do sleep 0.05; done
  sleep 0.2
  local exit=$EPOCHREALTIME
  kill -KILL $app
  # Waits without starting a process: starting one would take as long as the downtime itself.
  read -rt 0.5 <> <(:) || true
  until [ -e started-at ]; do sleep 0.02; done
  echo "$(cat started-at) - $exit" | bc
}

bare() {
  rm -rf bare-run && mkdir bare-run && cp -a installed/core bare-run/component && rm bare-run/component/manifest.xml
  cp -a next bare-run/stage && mkdir bare-run/backups
  sync -f bare-run
  ./bare bare-run/component bare-run/stage bare-run/backups "$work/started" "$work/started-at"
}

echo "| files changed | downtime, ms | the calls, ms | the calls and a start, ms | downtime / calls | downtime / calls and start |"
echo "|---|---|---|---|---|---|"
for files in "$@"; do
  rm -rf site/core inst installed next
  build "$files" 1
  # nginx derives the ETag of a file from its size and its modification time in seconds.
  touch -d '1 hour ago' site/core/manifest.xml
  mkdir inst && patcher install core --from "$url/core/manifest.xml"
  build "$files" 2
  rm -f build/manifest.xml && mv build next
  patcher download
  mv inst installed
  ours=() calls=() starts=()
  for _ in $(seq $runs); do
    ours+=("$(downtime)")
    read -r call start < <(bare)
    calls+=("$call") starts+=("$start")
  done
  awk -v files="$files" -v a="$(median "${ours[@]}")" -v b="$(median "${calls[@]}")" -v c="$(median "${starts[@]}")" \
    'BEGIN { printf "| %d | %.1f | %.1f | %.1f | %.2f | %.2f |\n", files, 1000 * a, 1000 * b, 1000 * c, a / b, a / c }'
done
