"""Measures one part and writes it into a document. See bytes.sh."""

import argparse
import importlib
import signal
import sys
import textwrap
from pathlib import Path

from releases import releases_in
from results import Results


def write(document, part, lines):
    """Replaces the lines between the markers of a part."""
    text = document.read_text()
    start, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->\n"
    if text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit(f"{document} has no place for {part}")
    # Tables are wider than the lines of text, which .ci/width checks.
    lines = [line if line[:1] in "|#" else textwrap.fill(line, 100) for line in "\n".join(lines).split("\n")]
    before, rest = text.split(start)
    document.write_text(before + start + "\n".join(lines).strip() + "\n" + end + rest.split(end)[1])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("part")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("document", type=Path)
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("--so-far", action="store_true")
    arguments.add_argument("--only", type=lambda names: names.split(","), default=[])
    given = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    results = Results(given.folder / ".bytes" / f"{given.part}.jsonl", given.keep, given.so_far)
    part = importlib.import_module(given.part)
    releases = releases_in(given.folder, given.only, getattr(part, "RELEASES", 3))
    lines = part.measure(releases, results)
    write(given.document, given.part, lines)


main()
