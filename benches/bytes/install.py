"""Part `install`: all bytes and requests of a first installation, beside `tar | xz -9`.

The bytes are those of the requests and responses with their headers, in both directions.
"""

import shutil
from xml.etree import ElementTree

from costs import run
from machine import facts, versions
from ours import Component, identity
from server import WORK, Sent
from trees import same, tar

# The bytes of the install object, divided by those of `tar | xz -9`.
GOAL = 1.03
MOST_REQUESTS = 2


def measure(corpora, results):
    rows = []
    for name, releases in corpora.items():
        release = releases[-1]
        ours = results.get((name, release.name, identity()), lambda: of_ours(name, release))
        theirs = results.get((name, release.name, versions(["xz"])), lambda: of_xz(release))
        if ours is None or theirs is None:
            continue
        ratio = ours["object"] / theirs["bytes"]
        reached = ratio <= GOAL and ours["requests"] <= MOST_REQUESTS
        rows.append([f"{name} {release.name}", f"{ours['object']:,}", f"{theirs['bytes']:,}", f"{ratio:.4f}",
                     "reached" if reached else "**missed**", f"{ours['gz']:,}", f"{ours['bytes']:,}",
                     f"{ours['bytes'] / theirs['bytes']:.4f}", str(ours["requests"])])
    head = ["release", "install object", "`tar \\| xz -9`", "ratio", f"at most {GOAL}", "all `.gz`", "all bytes of `install`", "ratio",
            "requests"]
    return [f"{facts()}. {versions(['xz'])}. {results.circumstances()}", "",
            *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))]


def of_ours(name, release):
    """Signs a release, and installs it."""
    component, root = Component(name), WORK / f"install-{name}"
    component.sign(release, release.name)
    sent = Sent()
    component.install(root)
    requests = sent.requests()
    same(root / name, release, but=("manifest.xml",))
    component.client(root, "verify", name)
    shutil.rmtree(root)
    install = ElementTree.parse(component.manifest()).getroot().find("meta/install")
    return {"object": int(install.get("size")), "gz": sum(size for size, _ in component.gzips().values()),
            "bytes": sum(requests), "requests": len(requests)}


def of_xz(release):
    packed, out = WORK / "install.tar", WORK / "install.tar.xz"
    tar(release, packed)
    run("xz", "-9", "-k", "-c", packed, to=out)
    size = out.stat().st_size
    packed.unlink()
    out.unlink()
    return {"bytes": size}
