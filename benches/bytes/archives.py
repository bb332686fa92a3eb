"""Part `archives`: deltas of archives and of programs in one file, with and without their mode."""

import gzip
import re

from apply import Ours
from costs import Cost
from machine import facts, versions
from server import WORK
from tools import Bsdiff, patched
from trees import changed, fresh, sha256

# Two releases of each program are compared.
RELEASES = 2
ENDINGS = (".jar", ".whl", ".zip", ".woff", ".onefile")
# The largest changed archives of each program.
FILES = 3
# The most bytes, by file.
GOALS = {"compiler.jar": 50_000, "wiremock-standalone-3.13.2.jar": 710_000, "python_stdlib.zip": 2_100,
         "materialdesignicons-webfont.woff": 6_200, "app.onefile": 600_000}


class WithoutArchives(Ours):
    name = "ours without mode 3"

    def diff(self, old, new, patch):
        return self.program, "encode-files", old, new, patch


def measure(corpora, results):
    ours, without, bsdiff = Ours(), WithoutArchives(), Bsdiff()
    build, rows = sha256(ours.program)[:16], []
    for name, releases in corpora.items():
        for old, new in pairs(*releases):
            key = name, releases[0].name, releases[1].name, str(new.relative_to(releases[1]))
            of = [results.get((*key, differ.name, identity), lambda: record(differ, old, new))
                  for differ, identity in ((ours, build), (without, build), (bsdiff, versions(["bsdiff"])))]
            whole = results.get((*key, "gzip"), lambda: {"bytes": len(gzip.compress(new.read_bytes(), 9))})
            sizes = [of_one["bytes"] for of_one in of]
            goal = GOALS.get(new.name)
            rows.append([f"{name}: {new.name}", f"{new.stat().st_size:,}", f"{whole['bytes']:,}",
                         *(f"{size:,}" for size in (sizes[2], sizes[1])), f"**{sizes[0]:,}**",
                         f"{sizes[1] / sizes[0]:.1f}", "" if goal is None else f"{goal:,}",
                         "" if goal is None else "reached" if sizes[0] <= goal else "**missed**",
                         *(f"{Cost(**of[index][what]).cpu:.2f}" for what in ("made", "applied") for index in (0, 1)),
                         f"{Cost(**of[0]['applied']).memory * 1024 / 1e6:.1f}"])
    head = ["", "bytes", "gzip -9", "bsdiff", "modes 0 to 2", "ours", "gain", "at most", "", "made: processors, s",
            "modes 0 to 2", "applied: processors, s", "modes 0 to 2", "peak, MB"]
    return [f"{facts()}. {versions(['bsdiff'])}. {results.circumstances()}", "",
            *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))]


def pairs(old, new):
    """Returns the largest changed archives with their old versions, also across a version in the
    name."""
    def plain(path):
        return re.sub(r"[0-9]+", "#", str(path))

    before = {plain(path.relative_to(old)): path for path in sorted(old.rglob("*")) if path.suffix in ENDINGS}
    found = []
    for file in changed(old, new):
        base = file.old or before.get(plain(file.path))
        if file.new.suffix in ENDINGS and base:
            found.append((base, file.new))
    return sorted(found, key=lambda pair: -pair[1].stat().st_size)[:FILES]


def record(differ, old, new):
    size, made, applied = patched(differ, old, new, fresh(WORK / "archives"))
    return {"bytes": size, "made": made.record(), "applied": applied.record()}
