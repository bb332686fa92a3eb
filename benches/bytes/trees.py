"""Trees of files: hashes them, compares two releases, and checks results."""

import hashlib
import os
import shutil
from collections import namedtuple
from pathlib import Path

from costs import run

# A new content at one of its paths. `old` is the old file at the same path, or None.
Changed = namedtuple("Changed", "path new old")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(tree):
    """Returns the hash of every file of a tree by path, sorted."""
    found = {}
    for folder, folders, names in os.walk(tree):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink():
                raise SystemExit(f"{path} is a link: not every tool here can carry one")
            found[str(path.relative_to(tree))] = sha256(path)
    return found


def changed(old, new):
    """Returns each content that only `new` has, preferably at a path that `old` has too."""
    before, after = hashes(old), hashes(new)
    held, of = set(before.values()), {}
    for path, digest in after.items():
        if digest in held:
            continue
        if digest not in of or (path in before and of[digest] not in before):
            of[digest] = path
    return [Changed(path, new / path, old / path if path in before else None) for path in sorted(of.values())]


def same(tree, expected, but=()):
    """Ends the benchmark if a tree differs from the expected one."""
    found = {path: digest for path, digest in hashes(tree).items() if path not in but}
    wanted = {path: digest for path, digest in hashes(expected).items() if path not in but}
    if found != wanted:
        wrong = sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))
        raise SystemExit(f"{tree} is not {expected}: {', '.join(wrong[:5])} ({len(wrong)} files)")


def same_file(file, expected):
    if sha256(file) != sha256(expected):
        raise SystemExit(f"{file} is not {expected}")


def tar(tree, out):
    """Packs a tree into a reproducible tar."""
    run("tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar",
        "-cf", out, "-C", tree, ".")


def fresh(folder):
    """Creates an empty folder and returns it."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return Path(folder)


def total(tree):
    return sum(path.stat().st_size for path in Path(tree).rglob("*") if path.is_file())
