"""Part `many`: measures whether time and memory grow linearly with the number of small files.

It also measures the size of the manifest. No file is removed before the last measurement. When ext4
creates a file, it skips every inode that was freed in the last minutes. After a large removal, each
new file would take longer.
"""

import gzip
import os
import random

from costs import Cost, progress, run
from machine import facts
from ours import BIN, MANIFEST, Component, identity
from server import SITE, URL, WORK
from trees import fresh

COUNTS = (10_000, 50_000, 100_000)
# One file in this many changes. Half as many are added and half as many removed.
FILES_PER_CHANGE = 100
WORDS = ("alpha", "beta", "gamma", "delta", "true", "false", "value", "name", "0", "1", "\n", "{", "}", ", ", "; ", " = ")


def measure(corpora, results):
    records = {count: results.get((str(count), identity()), lambda: of_ours(count)) for count in COUNTS}
    steps = list(records[COUNTS[0]]["steps"])
    lines = [f"{facts()}. {results.circumstances()}", "",
             f"| | {' | '.join(f'{count:,} files: s, peak MB' for count in COUNTS)} | s a file, {COUNTS[-1]:,} ÷ {COUNTS[0]:,} |",
             "|---" * (len(COUNTS) + 2) + "|"]
    for step in steps:
        costs = [Cost(**records[count]["steps"][step]) for count in COUNTS]
        ratio = costs[-1].seconds / COUNTS[-1] / (costs[0].seconds / COUNTS[0])
        cells = [f"{cost.seconds:.2f}, {cost.memory * 1024 / 1e6:.1f}" for cost in costs]
        lines.append(f"| {step} | {' | '.join(cells)} | {ratio:.2f} |")
    for what in "manifest, bytes", "manifest, gzip -9", "objects fetched by the update, bytes", "objects fetched by the update":
        lines.append(f"| {what} | {' | '.join(f'{records[count][what]:,}' for count in COUNTS)} | |")
    return lines


def content(chance):
    return " ".join(chance.choices(WORDS, k=chance.randrange(20, 400))).encode()


def of_ours(count):
    """Signs and publishes two releases, and updates a client from the first to the second."""
    work, name = fresh(WORK / f"many-{count}"), f"many-{count}"
    first, second, root, site = (work / folder for folder in ("first", "second", "root", "site"))
    chance = random.Random(count)
    for number in range(count + count // FILES_PER_CHANGE // 2):
        path = f"{number // 1000:03}/{number // 100 % 10}/{number % 100:02}.txt"
        before = after = content(chance)
        if number % FILES_PER_CHANGE == 0:
            after = before[: len(before) // 2] + content(chance)
        # The first files are removed, and as many are added at the end.
        for tree, text, there in ((first, before, number < count), (second, after, number >= count // FILES_PER_CHANGE // 2)):
            if there:
                file = tree / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(text)
    component, steps = Component(name, site), {}

    def step(name, action):
        progress(f"{count} files: {name}")
        # The writes of one step must not slow down the next one.
        os.sync()
        steps[name] = action().record()

    def publish():
        return run(BIN / "manifest-tool", "publish", site, SITE)

    step("sign", lambda: component.sign_in_place(first, "1.0.0"))
    step("publish", publish)
    step("install", lambda: component.client(root, "install", name, "--from", f"{URL}/{name}/{MANIFEST}"))
    step("sign, 1 % changed", lambda: component.sign_in_place(second, "2.0.0"))
    step("publish, 1 % changed", publish)
    step("check", lambda: run(BIN / "patcher", "--root", root, "--key", WORK / "release.pub.pem", "check", name, allowed=(10,)))
    updated = []

    def update():
        updated.append(component.update(root, second))
        return updated[0].cost

    step("update", update)
    step("verify", lambda: component.client(root, "verify", name))
    manifest = (SITE / name / MANIFEST).read_bytes()
    return {"steps": steps, "manifest, bytes": len(manifest), "manifest, gzip -9": len(gzip.compress(manifest, 9)),
            "objects fetched by the update, bytes": updated[0].bytes, "objects fetched by the update": updated[0].objects}
