"""Part `apply`: makes and applies one delta of a large file, with ours and with bsdiff."""

import subprocess
from pathlib import Path

from costs import run
from machine import facts, versions
from ours import BIN
from server import WORK
from tools import Bsdiff, patched
from trees import changed, fresh, sha256

PROJECT = Path(__file__).parent.parent.parent
# The number of files of each program, the largest first; their minimum size; the runs of each
# patch.
FILES, MIN_BYTES, RUNS = 2, 1_000_000, 5
# The memory limit of a client in MB.
MEMORY_MB = 32 * 1.048576


class Ours:
    name = "ours"

    def __init__(self):
        # The same features as in lib.sh, so that little is rebuilt.
        command = "cargo build --quiet --release --workspace --features cli --example delta"
        subprocess.run(command.split(), cwd=PROJECT, check=True)
        self.program = BIN / "examples" / "delta"

    def diff(self, old, new, patch):
        return self.program, "encode", old, new, patch

    def patch(self, old, patch, out):
        return self.program, "apply", old, patch, out


def measure(corpora, results):
    ours, rows = Ours(), []
    build = sha256(ours.program)[:16]
    for name, releases in corpora.items():
        files = [file for file in changed(releases[1], releases[2]) if file.old and file.new.stat().st_size >= MIN_BYTES]
        for file in sorted(files, key=lambda file: -file.new.stat().st_size)[:FILES]:
            key = name, releases[1].name, releases[2].name, file.path
            of = [results.get((*key, "ours", build), lambda: cost(ours, file)),
                  results.get((*key, "bsdiff", versions(["bsdiff"])), lambda: cost(Bsdiff(), file))]
            cells = [f"{file.new.name} ({of[0]['method']})", f"{file.new.stat().st_size:,}"]
            for what, unit in (("bytes", "{:,}"), ("made", "{:.2f}"), ("making", "{:.0f}"), ("cpu", "{:.3f}"), ("memory", "{:.1f}")):
                cells.append(" / ".join(unit.format(record[what]) for record in of))
            reached = of[0]["cpu"] < of[1]["cpu"] and of[0]["memory"] < MEMORY_MB
            rows.append([*cells, f"{of[0]['cpu'] / of[1]['cpu']:.2f}", "reached" if reached else "**missed**"])
    head = ["ours / bsdiff 4.3", "bytes", "patch", "made: processors, s", "peak, MB", "applied: processors, s", "peak, MB", "ratio", ""]
    return [f"{facts()}. {versions(['bsdiff'])}. {results.circumstances()}", "",
            *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))]


def cost(differ, file):
    """Makes a patch once, applies it RUNS times, and returns the median cost."""
    folder = fresh(WORK / "apply")
    size, made, applied = patched(differ, file.old, file.new, folder)
    patch, out, said = folder / "patch", folder / "patched", folder / "said"
    times = [run(*differ.patch(file.old, patch, out), to=said) for _ in range(RUNS)]
    middle = sorted(times, key=lambda cost: cost.cpu)[RUNS // 2]
    return {"bytes": size, "made": made.cpu, "making": made.memory * 1024 / 1e6, "cpu": middle.cpu,
            "memory": max(cost.memory for cost in [applied, *times]) * 1024 / 1e6, "method": said.read_text().split(" ")[0]}
