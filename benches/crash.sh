#!/usr/bin/env bash
# Tries every crash point of every scenario in every mode and writes the table of
# benches/results/crash.md. Takes about 30 minutes.
#
#   benches/crash.sh [EVERY]        # tries every EVERY-th point only; default: 1
set -euo pipefail
cd "$(dirname "$0")/.."
every=${1:-1}
doc=benches/results/crash.md
results=$(mktemp) table=$(mktemp)
trap 'rm -f "$results" "$table"' EXIT
# Uses a file system in memory if possible: syncs cost nothing there, and the power cuts simulate
# their own disk.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
status=0
CRASH_EVERY=$every CRASH_TABLE=$results cargo test --workspace --all-features --test crash || status=$?
[ -s "$results" ] || exit $status

{
  echo "Every point was tried: 1 of $every." | sed "/: 1 of 1\./!s/.*/One point of $every was tried./; s/: 1 of 1\././"
  echo
  echo '| mode | scenario | points | old | new | mixed |'
  echo '|---|---|---|---|---|---|'
  sort "$results" | awk -F'|' '{
    printf "| %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $6
    for (i = 3; i <= 6; i++) sum[i] += $i
  } END { printf "| all | | %d | %d | %d | %d |\n", sum[3], sum[4], sum[5], sum[6] }'
} >"$table"
sed -i -e '/<!-- table -->/,/<!-- end of table -->/{/<!-- table -->/!{/<!-- end of table -->/!d}}' -e "/<!-- table -->/r $table" "$doc"
# A failed test still writes its table.
exit $status
