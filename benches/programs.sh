#!/usr/bin/env bash
# Makes deltas between releases of the programs in programs.txt, in both modes. No detector was
# tuned on them. This is the table in benches/results/program-deltas.md. Releases that are not in
# DIR yet are fetched with pip and npm.
#
#   benches/programs.sh DIR
set -euo pipefail
dir=$(realpath -m "${1:?usage: programs.sh DIR}")
cd "$(dirname "$0")/.."
benches/fetch-releases.sh "$dir" benches/programs.txt >&2
largest() { find "$1" -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-; }
rows=()
while read -r name _ _ _ versions; do
  case "$name" in '' | '#'*) continue ;; esac
  set -- $versions
  rows+=("$name" "$(largest "$dir/$name/$1")" "$(largest "$dir/$name/$2")")
done <benches/programs.txt
cargo bench --quiet -p component-patcher-tool --bench delta -- "${rows[@]}"
