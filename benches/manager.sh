#!/usr/bin/env bash
# Measures the time of `status` and `history` with 50 entries, and the activity of an idle watcher,
# which should be 0.
#
#   benches/manager.sh
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$work"
entries=50 runs=50 seconds=20
"$bin/manifest-tool" keygen release --bits 3072 >/dev/null
mkdir build && echo 1 >build/app
"$bin/manifest-tool" sign build --key release.key.pem --component core --version 1.0.0 --base-url http://127.0.0.1:9/core/ >/dev/null
patcher() { "$bin/patcher" --root root --key release.pub.pem "$@"; }
patcher install core --from site/core >/dev/null
python3 - "$entries" <<'X'
import sys
path = "root/.patcher/updates.xml"
lines = open(path).read().splitlines(True)
open(path, "w").write("".join(lines[:2] + lines[2:3] * int(sys.argv[1]) + lines[3:]))
X
[ "$(patcher history | tail -n +2 | wc -l)" = "$entries" ]

# Prints the median and the maximum of $runs runs of a command.
milliseconds() {
  python3 - "$runs" "$bin/patcher" --root root --key release.pub.pem "$@" <<'X'
import statistics, subprocess, sys, time
def run():
    start = time.perf_counter()
    subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000
run()
times = [run() for _ in range(int(sys.argv[1]))]
print(f"{statistics.median(times):.1f} ms, {max(times):.1f} at most")
X
}
echo "| with $entries entries, $runs runs | |"
echo '|---|---|'
for verb in status history; do echo "| \`$verb\` | $(milliseconds $verb) |"; done

# Measures after the first check of the watcher and before its second.
"$bin/patcher" --root root --key release.pub.pem --site site watch --first-within 0s --interval 1h >events &
watcher=$!
trap 'kill "$watcher" 2>/dev/null || true; finish' EXIT
until [ -s events ]; do sleep 0.05; done
sleep 1
switches() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' /proc/"$watcher"/task/*/status; }
before=$(switches)
sleep "$seconds"
woke=$(($(switches) - before))
timeout --signal INT "$seconds" strace -f -c -o calls -p "$watcher" 2>attached || true
grep -q attached attached
calls=$(awk '$NF == "total" { sum = $(NF - 1) } END { print sum + 0 }' calls)
echo
echo "| an idle watcher, $(ls "/proc/$watcher/task" | wc -l) threads, $seconds s | |"
echo '|---|---|'
echo "| times that a thread ran | $woke |"
echo "| system calls | $calls |"
