"""Part `chain`: compares a chain of deltas over ten releases with one direct delta."""

import shutil
import subprocess
from pathlib import Path

from costs import Cost, progress
from machine import facts
from ours import Component, identity
from releases import releases_in
from server import WORK
from trees import changed, sha256

LIST = Path(__file__).parent / "chain.txt"
GOAL = 1.5


def measure(corpora, results):
    folder = results.file.parent / "chain"
    subprocess.run([LIST.parent.parent / "fetch-releases.sh", folder, LIST], check=True, stdout=2)
    rows = []
    for name, releases in releases_in(folder, count=11).items():
        way = [release.name for release in releases]
        chain = results.get((name, *way, "chain", identity()), lambda: update(f"{name}-chain", releases))
        direct = results.get((name, way[0], way[-1], "direct", identity()),
                             lambda: update(f"{name}-direct", [releases[0], releases[-1]]))
        ratio = chain["bytes"] / direct["bytes"]
        cost = Cost(**chain["client"])
        rows.append([f"{name} {way[0]} → {way[-1]}", f"{chain['bytes']:,}", str(chain["objects"]), f"{direct['bytes']:,}",
                     f"{ratio:.3f}", "reached" if ratio <= GOAL else "**missed**", f"{chain['whole']:,}",
                     f"{cost.seconds:.2f}", f"{cost.memory * 1024 / 1e6:.1f}"])
    head = ["", "by chain", "objects", "direct", "ratio", f"at most {GOAL}", "all changed .gz", "client, s", "peak, MB"]
    return [f"{facts()}. {results.circumstances()}", "",
            *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))]


def update(name, releases):
    """Publishes releases in order and updates a copy of the first to the last."""
    component, root = Component(name), WORK / f"root-{name}"
    for release in releases:
        progress(f"{name}: sign {release.name}")
        component.sign(release, release.name)
        if release is releases[0]:
            component.install(root)
    update = component.update(root, releases[-1])
    gzips = component.gzips()
    whole = sum(gzips[sha256(file.new)][0] for file in changed(releases[0], releases[-1]))
    shutil.rmtree(root)
    return {"bytes": update.bytes, "objects": update.objects, "whole": whole, "client": update.cost.record()}
