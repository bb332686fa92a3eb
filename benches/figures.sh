#!/usr/bin/env bash
# Compares this project with tools that do only the bare work, in one run, and prints ratios. A
# ratio below 1 means that this project is faster or smaller. Figures are medians of three
# alternating runs.
#
#   benches/fetch-releases.sh DIR && benches/figures.sh DIR
set -euo pipefail
corpora=$(realpath "${1:?usage: figures.sh DIR}")
. "$(dirname "$0")/lib.sh"
serve
cd "$work"
"$bin/manifest-tool" keygen release --bits 3072 >/dev/null
cores=$(nproc)
runs=3

# Runs `ours` and `theirs` alternately, each after `reset`, and prints the medians and their ratio.
compare() { # title, ours, theirs, reset
  local ours=() theirs=()
  for _ in $(seq $runs); do
    "$4" && ours+=("$(seconds quietly "$2")")
    "$4" && theirs+=("$(seconds quietly "$3")")
  done
  local a b
  a=$(median "${ours[@]}") b=$(median "${theirs[@]}")
  printf '| %s | %.3f s | %.3f s | %s |\n' "$1" "$a" "$b" "$(ratio "$a" "$b")"
}

quietly() { "$@" 2>/dev/null; }
nothing() { :; }
peak() { /usr/bin/time -f %M "$@" 2>&1 >/dev/null | tail -1; }

patcher() { "$bin/patcher" --root inst --key release.pub.pem "$@"; }
sign() { "$bin/manifest-tool" sign build --site site --key release.key.pem --component core --version "$1" --base-url "$url/core/"; }
fresh_site() { rm -rf site/core pigz && cp -r build pigz && rm -f pigz/manifest.xml; }
sign_fresh() { sign 1.0.0; }
pigz_all() { find pigz -type f -print0 | xargs -0 pigz -9 -k; }
verify() { patcher verify core; }
sha256sum_all() { find inst/core -type f ! -name manifest.xml -print0 | xargs -0 -n 16 -P "$cores" sha256sum; }
no_install() { rm -rf inst plain && mkdir inst plain; }
install_all() { patcher install core --from "$url/core/manifest.xml"; }
old_install() { rm -rf inst && cp -r inst-old inst; }
curl_gunzip_sum() {
  (cd plain && curl -s --remote-name-all --fail "${objects[@]}" && gunzip ./*.gz && sha256sum ./*)
}

for corpus in numpy pyside-win; do
  versions=($(ls "$corpora/$corpus" | sort -V))
  rm -rf build inst && cp -r "$corpora/$corpus/${versions[0]}" build
  echo
  echo "### $corpus ${versions[0]}, $cores cores"
  echo
  echo '| | ours | theirs | ratio |'
  echo '|---|---|---|---|'
  compare 'sign of a fresh tree; `pigz -9` of the same files' sign_fresh pigz_all fresh_site
  sign 1.0.0 >/dev/null
  ours=$(find site/core/objects -name '*.gz' -printf '%s\n' | paste -sd+ | bc)
  theirs=$(find build -type f ! -name manifest.xml -exec sha256sum {} + | sort -u -k1,1 | sed 's/^[0-9a-f]*  //' |
    while read -r file; do gzip -9nc "$file" | wc -c; done | paste -sd+ | bc)
  printf '| bytes of all .gz; `gzip -9 -n` | %s | %s | %s |\n' "$ours" "$theirs" "$(echo "scale=6; $ours / $theirs" | bc | xargs printf '%.4f')"
  no_install
  : >nginx/access.log
  install_all >/dev/null
  mapfile -t objects < <(awk -v url="$url" '/\/objects\// { print url $1 }' nginx/access.log | sort -u)
  compare "install, ${#objects[@]} objects over loopback nginx; curl, gunzip, sha256sum of them" install_all curl_gunzip_sum no_install
  no_install
  install_all >/dev/null
  compare "verify; \`xargs -P$cores sha256sum\`" verify sha256sum_all nothing
  rm -rf inst-old && cp -r inst inst-old
  rm -rf build && cp -r "$corpora/$corpus/${versions[1]}" build
  sign 2.0.0 >/dev/null
  old_install
  patcher update core >/dev/null
  printf '| requests of a check that finds nothing new | %s | | |\n' "$(
    : >nginx/access.log
      patcher check core >/dev/null
    sleep 0.2
    awk '{ print $3 }' nginx/access.log | paste -sd' '
  )"
  old_install
  printf '| peak memory, kB, of the update to the next release: check / download / apply | %s / %s / %s | | |\n' \
    "$(peak "$bin/patcher" --root inst --key release.pub.pem check core)" \
    "$(peak "$bin/patcher" --root inst --key release.pub.pem download core)" \
    "$(peak "$bin/patcher" --root inst --key release.pub.pem apply)"
  fresh_site
  printf '| peak memory, kB: sign of the next release, without deltas | %s | | |\n' \
    "$(peak "$bin/manifest-tool" sign build --site site --key release.key.pem --component core --version 2.0.0 --updates 0 --base-url "$url/core/")"
done
echo
cargo build --quiet --profile helper --package patcher-helper --manifest-path "$project/Cargo.toml"
printf 'patcher-helper: %s bytes\n' "$(stat -c %s "$bin/../helper/patcher-helper")"
