#!/usr/bin/env bash
# Measures what a program pays for the library: bytes, crates, build time, and time per run.
#
#   benches/program.sh
#
# The program is hexyl 0.16.0 from crates.io, built three times: as published, with the library's
# feature `client` alone, and with its default features. It follows the guide's example of a
# short-lived tool. Times are medians of alternating runs that print 64 bytes; a check asks nginx on
# loopback and finds nothing new.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
serve
cd "$work"
export CARGO_TARGET_DIR=$work/target
runs=300

cargo new --quiet --vcs none source
cargo add --quiet --manifest-path source/Cargo.toml hexyl@=0.16.0
cargo vendor --quiet --manifest-path source/Cargo.toml vendor >/dev/null
"$bin/manifest-tool" keygen release --bits 3072 >/dev/null

# Makes a copy of hexyl in the folder $1. With further arguments, it uses the library with these
# features.
copy() {
  local dir=$1 key=$work/release.pub.pem
  cp -r vendor/hexyl "$dir"
  sed -i 's/^codegen-units = 1/&\nstrip = "symbols"/' "$dir/Cargo.toml"
  printf '\n[workspace]\n' >>"$dir/Cargo.toml"
  [ $# -gt 1 ] || return 0
  shift
  cargo add --quiet --manifest-path "$dir/Cargo.toml" --path "$project" component-patcher --rename patcher "$@"
  python3 - "$dir/src/main.rs" "$key" <<'P'
import sys
path, key = sys.argv[1:]
text = open(path).read()
start = f"""fn main() {{
    let started = patcher::init(patcher::Config::for_current_exe("hexyl").trusted_key(include_str!("{key}")));
    let result = run();
    let _ = patcher::confirm();
    let seconds = std::env::var("HEXYL_CHECK_SECONDS").map_or(86_400, |text| text.parse().unwrap());
    let interval = std::time::Duration::from_secs(seconds);
    if started.is_ok() {{
        match patcher::check_if_due("hexyl", interval) {{
            Ok(patcher::Offer::Update(update)) => {{
                let _ = update.download(|_| ()).and_then(patcher::Staged::apply_on_exit);
            }}
            Ok(_) => (),
            Err(error) => panic!("{{error}}"),
        }}
    }}
"""
before = "fn main() {\n    let result = run();\n"
assert text.count(before) == 1
open(path, "w").write(text.replace(before, start))
P
}

# Builds the copy $1 from nothing. Sets $seconds.
build() {
  rm -rf target
  seconds=$(seconds cargo build --quiet --release --manifest-path "$1/Cargo.toml")
  cp target/release/hexyl "$1/program"
}

copy bare
copy slim --no-default-features --features client
copy default --features default

echo '| hexyl 0.16.0 | bytes | more bytes | crates | more crates | build, s |'
echo '|---|---|---|---|---|---|'
for variant in bare slim default; do
  build $variant
  bytes=$(stat -c %s $variant/program)
  crates=$(cargo tree --manifest-path $variant/Cargo.toml --edges normal --prefix none | sed 's/ (.*//' | sort -u | wc -l)
  [ $variant = bare ] && bare_bytes=$bytes bare_crates=$crates
  echo "| $variant | $bytes | $((bytes - bare_bytes)) | $crates | $((crates - bare_crates)) | $seconds |"
done

# Installs each variant with the helper beside it; the bare one is just a file.
for variant in slim default; do
  mkdir -p build-$variant
  cp $variant/program build-$variant/hexyl
  cp "$bin/patcher-helper" build-$variant/
  "$bin/manifest-tool" sign build-$variant --site site --key release.key.pem --component hexyl --version 1.0.0 \
    --base-url "$url/$variant/hexyl/" --launch hexyl >/dev/null
  mkdir -p site/$variant && mv site/hexyl site/$variant/
  "$bin/patcher" --root installed-$variant --key release.pub.pem install hexyl --from "$url/$variant/hexyl/" >/dev/null
done

echo
python3 - "$runs" "$work/bare/program" "$work/installed-slim/hexyl/hexyl" "$work/installed-default/hexyl/hexyl" <<'P'
import os, statistics, subprocess, sys, time

runs = int(sys.argv[1])
bare, slim, default = sys.argv[2:]
COMMANDS = {
    "bare": (bare, "86400"),
    "slim": (slim, "86400"),
    "default": (default, "86400"),
    "slim, with a check": (slim, "0"),
    "default, with a check": (default, "0"),
}


def run(program, seconds):
    environment = dict(os.environ, HEXYL_CHECK_SECONDS=seconds)
    start = time.perf_counter()
    subprocess.run([program, "--length", "64", "/dev/zero"], env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000


times = {name: [] for name in COMMANDS}
for number in range(runs + 1):
    for name, command in COMMANDS.items():
        taken = run(*command)
        if number:  # the first run reads the program from the disk and checks in any case
            times[name].append(taken)
print(f"| medians of {runs} runs, ms | a run | more than bare | ratio |")
print("|---|---|---|---|")
base = statistics.median(times["bare"])
for name, values in times.items():
    middle = statistics.median(values)
    print(f"| {name} | {middle:.2f} | {middle - base:+.2f} | {middle / base:.2f} |")
P
