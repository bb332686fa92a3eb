"""Part `gzip_size`: measures how much larger segments make a gzip."""

from costs import run
from machine import facts, versions
from ours import Component, identity
from server import WORK
from trees import hashes

GOAL = 1.01


def measure(corpora, results):
    sums = {}
    for name, releases in corpora.items():
        record = results.get((name, releases[2].name, identity(), versions(["gzip"])), lambda: of_corpus(name, releases[2]))
        sums[f"{name} {releases[2].name}"] = record
    head = ["", "files in segments", "ours", "`gzip -9 -n`", "ratio", "the worst file", "all files: ours", "`gzip -9 -n`", "ratio", ""]
    rows = []
    for name, record in sums.items():
        # `theirs` is 0 if no file is large enough for segments.
        ours, theirs = record["segments"]
        all_ours, all_theirs = record["all"]
        worst = max([ours / max(theirs, 1), all_ours / all_theirs])
        path, ratio = record["worst"] or ("-", 0)
        rows.append([name, str(record["count"]), f"{ours:,}", f"{theirs:,}", f"{ours / max(theirs, 1):.4f}", f"{ratio:.4f} ({path})",
                     f"{all_ours:,}", f"{all_theirs:,}", f"{all_ours / all_theirs:.4f}",
                     "reached" if worst <= GOAL else "**missed**"])
    return [f"{facts()}. {versions(['gzip'])}. {results.circumstances()}", "",
            *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))]


def of_corpus(name, release):
    component = Component(name)
    component.sign(release, release.name, "--updates", "0")
    gzips, seen = component.gzips(), set()
    record = {"segments": [0, 0], "all": [0, 0], "count": 0, "worst": None}
    for path, digest in hashes(release).items():
        if digest in seen:
            continue
        seen.add(digest)
        run("gzip", "-9", "-n", "-c", release / path, to=WORK / "gz")
        (ours, in_segments), theirs = gzips[digest], (WORK / "gz").stat().st_size
        for sums in (record["segments"], record["all"]) if in_segments else (record["all"],):
            sums[0] += ours
            sums[1] += theirs
        record["count"] += in_segments
        if in_segments and (not record["worst"] or ours / theirs > record["worst"][1]):
            record["worst"] = path, ours / theirs
    return record
