#!/usr/bin/env bash
# Fetches releases of real programs to DIR/NAME/VERSION with pip and npm, for the tables in
# benches/results. A program of the kind `pyinstaller` is built: a window with one label, and the
# package in one file.
#
#   benches/fetch-releases.sh DIR [LIST]        # LIST replaces releases.txt
#
# Releases that exist in DIR are not fetched again.
set -euo pipefail
out=${1:?usage: fetch-releases.sh DIR [LIST]}
list=$(realpath "${2:-$(dirname "$0")/releases.txt}")
mkdir -p "$out" && cd "$out"

unpack_pypi() { # package version platform folder
  pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 --platform "$3" \
    -d "$4/wheel" "$1==$2" </dev/null
  python3 -m zipfile -e "$4"/wheel/*.whl "$4/tree"
  # Removes the version from the names of metadata folders, which would make every file in them a
  # new path.
  for folder in "$4/tree"/*-"$2".d*; do
    if [ -d "$folder" ]; then mv "$folder" "${folder/-$2/}"; fi
  done
}

unpack_npm() { # package version - folder
  mkdir "$4/pack" "$4/tree"
  (cd "$4/pack" && npm pack --silent "$1@$2" </dev/null >/dev/null)
  tar xzf "$4"/pack/*.tgz -C "$4/tree"
}

unpack_pyinstaller() { # package version - folder
  python3 -m venv "$4/venv"
  "$4/venv/bin/pip" install -q --disable-pip-version-check pyinstaller "$1==$2" </dev/null
  cat >"$4/app.py" <<'PYTHON'
import sys
from PySide6.QtWidgets import QApplication, QLabel
app = QApplication(sys.argv)
QLabel("hello").show()
PYTHON
  (cd "$4" && venv/bin/pyinstaller --onefile --name app.onefile --distpath tree --log-level ERROR app.py </dev/null)
}

while read -r name kind package platform versions; do
  case "$name" in '' | '#'*) continue ;; esac
  for version in $versions; do
    if [ -e "$name/$version" ]; then continue; fi
    work=$(mktemp -d "$PWD/.fetch.XXXXXX")
    "unpack_$kind" "$package" "$version" "$platform" "$work"
    mkdir -p "$name" && mv "$work/tree" "$name/$version" && rm -rf "$work"
    echo "$name $version: $(find "$name/$version" -type f | wc -l) files"
  done
done <"$list"
