"""Part `damaged`: repairs a file that is damaged at unknown places, with ours and with zsync."""

import os
import random
import shutil

from costs import Cost
from machine import facts, versions
from ours import MANIFEST, Component, Update, identity
from server import WORK, Sent
from tools import Zsync
from trees import fresh, same, total

SIZE_BYTES = 100_000_000
# One byte in this many is wrong.
BYTES_PER_WRONG_BYTE = 100
# The lengths of the runs of wrong bytes.
RUNS = (1, 100, 1_000, 10_000)


def measure(corpora, results):
    rows = {}
    for run in RUNS:
        made = []

        def files():
            if not made:
                made.extend(prepare(corpora, run))
            return made

        rows["ours", run] = results.get(("ours", str(run), identity()), lambda: of_ours(*files()))
        for tool in Zsync(compressed=False), Zsync(compressed=True):
            def of_zsync():
                right, wrong = files()
                return tool.of_file(wrong / "file", right / "file", fresh(WORK / "pair")).record()

            rows[tool.name, run] = results.get((tool.name, str(run), versions(tool.programs)), of_zsync)
    lines = [f"{facts()}. {versions(Zsync.programs)}. {results.circumstances()}", "",
             "| wrong bytes in runs of | ours | zsync | zsync -z | ours ÷ the better zsync | ours: s, peak MB | zsync -z: s, peak MB |",
             "|---" * 7 + "|"]
    for run in RUNS:
        sizes = [rows[name, run]["bytes"] for name in ("ours", "zsync", "zsync -z")]
        ratio = sizes[0] / min(sizes[1:])
        cells = [f"{run:,}", *(f"{size:,}" for size in sizes), f"{ratio:.3f}" if ratio <= 1 else f"**{ratio:.3f}**"]
        for name in "ours", "zsync -z":
            cost = Cost(**rows[name, run]["client"])
            cells.append(f"{cost.seconds:.2f}, {cost.memory * 1024 / 1e6:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def prepare(corpora, run):
    """Returns two folders with one file each: all corpora concatenated, right and damaged."""
    right, wrong = fresh(WORK / "right"), fresh(WORK / "wrong")
    content = bytearray()
    for releases in sorted(corpora.values(), key=lambda releases: total(releases[2])):
        for path in sorted(path for path in releases[2].rglob("*") if path.is_file()):
            if len(content) < SIZE_BYTES:
                content += path.read_bytes()
    if len(content) < SIZE_BYTES:
        raise SystemExit(f"the corpora have {len(content)} bytes, and {SIZE_BYTES} are needed")
    del content[SIZE_BYTES:]
    (right / "file").write_bytes(content)
    chance = random.Random(run)
    for place in chance.sample(range(SIZE_BYTES // run), SIZE_BYTES // BYTES_PER_WRONG_BYTE // run):
        for at in range(place * run, (place + 1) * run):
            content[at] ^= chance.randrange(1, 256)
    (wrong / "file").write_bytes(content)
    return right, wrong


def of_ours(right, wrong):
    """Installs the right file, damages it, and repairs it."""
    component = Component("damaged")
    signed = component.sign(right, "1.0.0")
    root = WORK / "root-damaged"
    component.install(root)
    shutil.copyfile(wrong / "file", root / "damaged" / "file")
    os.sync()
    sent = Sent()
    repair = Update.of(component.client(root, "repair", "damaged"), sent.bodies())
    same(root / "damaged", right, but=(MANIFEST,))
    shutil.rmtree(root)
    return {"bytes": repair.bytes, "publisher": signed.record(), "client": repair.cost.record()}
