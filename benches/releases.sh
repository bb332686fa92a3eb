#!/usr/bin/env bash
# Publishes three releases of each real program and updates installed copies: by one release, by
# two, and back.
#
# Prints the changed files, the downloaded bytes and the time. Stops if an installed tree differs
# from the published one.
#
#   benches/fetch-releases.sh DIR && benches/releases.sh DIR
set -euo pipefail
corpora=$(realpath "${1:?usage: releases.sh DIR}")
. "$(dirname "$0")/lib.sh"
serve
cd "$work"
"$bin/manifest-tool" keygen release --bits 3072 >/dev/null

# Signs a release. Keeps the tree in $work/build and sets $gz and $tar to sizes in bytes.
publish() { # corpus version argument…
  rm -rf build && cp -r "$corpora/$1/$2" build
  "$bin/manifest-tool" sign build --site site --key release.key.pem --component "$1" --version "$2" --base-url "$url/$1/" "${@:3}" >/dev/null
  gz=$(grep -o '<gz size="[0-9]*" sha256="[0-9a-f]*"' build/manifest.xml | sort -u | grep -o 'size="[0-9]*' | grep -o '[0-9]*' | paste -sd+ | bc)
  tar=$(tar c -C "$corpora/$1/$2" . | gzip -9 | wc -c)
}

# Fails unless the installed tree has the published bytes and modes and its manifest a valid
# signature.
same() { # corpus root
  diff -r build "$2/$1"
  diff <(cd build && find . -type f -perm /100 | sort) <(cd "$2/$1" && find . -type f -perm /100 | sort)
  "$bin/patcher" --root "$2" --key release.pub.pem verify "$1" >/dev/null
  sed '/^  <signature /d' "$2/$1/manifest.xml" >body
  sed -n 's|^  <signature [^>]*>\(.*\)</signature>$|\1|p' "$2/$1/manifest.xml" | head -1 | base64 -d >sig
  openssl dgst -sha256 -verify release.pub.pem -signature sig body >/dev/null
}

# Runs a command of the client and prints one row of the table.
row() { # corpus root from to command…
  local corpus=$1 root=$2 from=$3 to=$4
  shift 4
  local changes before bytes start
  if [ "$from" = - ]; then
    changes=$(find build -type f ! -name manifest.xml | wc -l)
  else
    changes=$(diff -rq build "$root/$corpus" | grep -vc '/manifest.xml differ' || true)
  fi
  before=$(wc -l <nginx/access.log)
  start=$EPOCHREALTIME
  "$bin/patcher" --root "$root" --key release.pub.pem "$@" >/dev/null
  local seconds
  seconds=$(echo "$EPOCHREALTIME - $start" | bc)
  bytes=$(tail -n +$((before + 1)) nginx/access.log | awk '/\/objects\// { sum += $2 } END { print sum + 0 }')
  same "$corpus" "$root"
  printf '| %s | %s → %s | %s | %.3f | %.3f | %.3f | %.2f |\n' "$corpus" "$from" "$to" "$changes" \
    "$(mb "$bytes")" "$(mb "$gz")" "$(mb "$tar")" "$seconds"
}

mb() { echo "scale=6; $1 / 1000000" | bc; }

echo '| program | from → to | files changed | downloaded, MB | all .gz, MB | tar.gz, MB | seconds |'
echo '|---|---|---|---|---|---|---|'
for corpus in $(ls "$corpora"); do
  versions=($(ls "$corpora/$corpus" | sort -V))
  first=${versions[0]} second=${versions[1]} third=${versions[2]}
  mkdir -p far near
  publish "$corpus" "$first"
  row "$corpus" far - "$first" install "$corpus" --from "$url/$corpus/manifest.xml"
  cp -r far/. near
  publish "$corpus" "$second"
  row "$corpus" near "$first" "$second" update "$corpus"
  publish "$corpus" "$third"
  row "$corpus" near "$second" "$third" update "$corpus"
  row "$corpus" far "$first" "$third" update "$corpus"
  # Withdraws the release: publishes the old content as the next release.
  publish "$corpus" "$second" --allow-downgrade
  row "$corpus" far "$third" "$second" update "$corpus"
  rm -rf far near "site/$corpus"
done
