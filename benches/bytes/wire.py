"""Part `wire`: all bytes and requests of an update, in both directions.

The bytes are those of the requests and responses with their headers, without TCP and TLS. The other
tools get the smallest honest protocol around them: `curl` fetches a file with the newest version,
then the patch from the installed one. The flat layout is measured in the same way.
"""

import shutil

from costs import run
from machine import facts, versions
from ours import Component, identity
from server import SITE, URL, WORK, Sent
from tools import Bsdiff, Pair, Zstd
from trees import fresh, sha256

# For each program, the goal from the release before and from the one before that, in bytes.
GOALS = {
    "numpy": (12_000, 36_000),
    "typescript": (6_000, 180_000),
    "jupyterlab": (45_000, 230_000),
    "esbuild-win": (136_500, 378_000),
    "ruff": (2_030_000, 2_345_000),
    "pyside-win": (1_150_000, 14_200_000),
}
MOST_REQUESTS = 5
# bsdiff takes 17 times the size of the old tar in memory.
MOST_BSDIFF_BYTES = 100 << 20


def measure(corpora, results):
    rows = []
    for name, (goal_near, goal_far) in GOALS.items():
        if name not in corpora:
            continue
        releases = corpora[name]
        key = (name, *(release.name for release in releases))
        ours = results.get((*key, "ours", identity()), lambda: of_ours(name, releases))
        flat = results.get((*key, "ours flat", identity()), lambda: of_ours(name, releases, "flat"))
        if ours is None or flat is None:
            continue
        for old, goal in ((releases[-2], goal_near), (releases[-3], goal_far)):
            mine, in_flat = ours[old.name], flat[old.name]
            more = 100 * (in_flat["bytes"] / mine["bytes"] - 1)
            reached = mine["bytes"] <= goal and mine["requests"] <= MOST_REQUESTS
            cells = [f"{name} {old.name} → {releases[-1].name}", f"{mine['bytes']:,}", str(mine["requests"]),
                     f"{goal:,}", "reached" if reached else "**missed**",
                     f"{in_flat['bytes']:,} in {in_flat['requests']} ({more:+.1f} %)"]
            pair = []

            def both():
                if not pair:
                    pair.append(Pair(old, releases[-1]))
                return pair[0]

            for tool in (Bsdiff(), Zstd(19)):
                key = (name, old.name, releases[-1].name, tool.name, versions(tool.programs))
                other = results.get(key, lambda: of_tool(tool, both()))
                cells.append("–" if other is None or not other["bytes"] else f"{other['bytes']:,}")
            if pair:
                shutil.rmtree(pair[0].folder)
            rows.append(cells)
    head = ["update", "all bytes", "requests", "goal", "", "flat layout", "bsdiff of the tar", "zstd -19 --patch-from of the tar"]
    return [f"{facts()}. {results.circumstances()}", "",
            *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))]


def of_ours(name, releases, layout="folders"):
    """Publishes releases in order and updates a copy of each earlier one to the last."""
    component, measured = Component(name, layout=layout), {}
    for release in releases:
        component.sign(release, release.name)
        if release is not releases[-1]:
            component.install(WORK / f"wire-{release.name}")
    for release in releases[:-1]:
        root, sent = WORK / f"wire-{release.name}", Sent()
        component.client(root, "update", name)
        requests = sent.requests()
        measured[release.name] = {"bytes": sum(requests), "requests": len(requests)}
        component.client(root, "verify", name)
        shutil.rmtree(root)
    return measured


def of_tool(tool, pair):
    """Fetches the newest version and the patch with curl, and applies the patch."""
    old, new = pair.tars()
    if isinstance(tool, Bsdiff) and old.stat().st_size > MOST_BSDIFF_BYTES:
        return {"bytes": 0}
    served = fresh(SITE / "wire")
    (served / "latest").write_text(f"{pair.new.name}\n")
    run(*tool.diff(old, new, served / "patch"))
    sent, patch, out = Sent(), WORK / "wire.patch", WORK / "wire.tar"
    run("curl", "-sSf", f"{URL}/wire/latest")
    run("curl", "-sSf", f"{URL}/wire/patch", to=patch)
    measured = {"bytes": sum(sent.requests())}
    run(*tool.patch(old, patch, out))
    if sha256(out) != sha256(new):
        raise SystemExit(f"{tool.name}: the tar is wrong")
    shutil.rmtree(served)
    return measured
