"""The tools of others: what a publisher runs for two releases, what a client runs, and how many bytes go between them.

- By file: a patch for each content that is new, to be had from the old file at the same path, and `gzip -9` where there is none or where
  that is smaller. A file that the old release has under another name costs nothing.
- Of the whole: the same of two tars, and the tools that are made to find in a release what an older one has.
- Time and memory of a client are those of making the new files; by the first kind nothing is fetched, checked or put in place.
"""

import os
import shutil
from pathlib import Path

from costs import Cost, run
from server import SITE, URL, WORK, Sent
from trees import changed, fresh, same, same_file, tar


class Pair:
    """Two releases, with what several tools need of them."""

    def __init__(self, old, new):
        self.old, self.new = Path(old), Path(new)
        self.changed = changed(self.old, self.new)
        self.folder = fresh(WORK / f"pair-{self.new.parent.name}-{self.old.name}")
        self.gzipped = {}

    def gzip(self, file):
        """Size of a file by `gzip -9 -n`, and what making and undoing that cost."""
        if file not in self.gzipped:
            packed, out = self.folder / "gz", self.folder / "gunzipped"
            made = run("gzip", "-9", "-n", "-c", file, to=packed)
            undone = run("gzip", "-d", "-c", packed, to=out)
            same_file(out, file)
            self.gzipped[file] = packed.stat().st_size, made, undone
        return self.gzipped[file]

    def tars(self):
        """The two releases, each as one file."""
        files = self.folder / "old.tar", self.folder / "new.tar"
        for tree, file in zip((self.old, self.new), files):
            if not file.exists():
                tar(tree, file)
        return files


class Result:
    """Bytes and costs of one tool for one pair; `remarks` says what it could not do."""

    def __init__(self):
        self.bytes, self.publisher, self.client, self.remarks = 0, Cost(), Cost(), []

    def add(self, size, publisher, client):
        self.bytes += size
        self.publisher += publisher
        self.client += client

    def record(self):
        return {"bytes": self.bytes, "publisher": self.publisher.record(), "client": self.client.record(),
                "remarks": self.remarks}


class Whole:
    """Every new content as a gzip."""

    name = "all changed .gz"
    programs = ("gzip",)

    def measure(self, pair):
        result = Result()
        for file in pair.changed:
            result.add(*pair.gzip(file.new))
        return result


class Bsdiff:
    name = "bsdiff"
    programs = ("bsdiff",)

    def diff(self, old, new, patch):
        return "bsdiff", old, new, patch

    def patch(self, old, patch, out):
        return "bspatch", old, out, patch

    def too_much(self, old, new):
        """Says so if there is not enough memory: bsdiff takes 17 times the old file, or 9 times and the new one."""
        old, new = os.path.getsize(old), os.path.getsize(new)
        needed, free = max(17 * old, 9 * old + new), free_memory()
        return f"{needed >> 20} MiB needed, {free >> 20} free" if needed > free else None


class Xdelta3:
    name = "xdelta3 -9"
    programs = ("xdelta3",)

    def window(self, old):
        # The whole old file, as by default up to 64 MiB.
        return max(64 << 20, 1 << (os.path.getsize(old) - 1).bit_length())

    def diff(self, old, new, patch):
        return "xdelta3", "-e", "-9", "-S", "lzma", "-f", "-B", self.window(old), "-s", old, new, patch

    def patch(self, old, patch, out):
        return "xdelta3", "-d", "-f", "-B", self.window(old), "-s", old, patch, out

    def too_much(self, old, new):
        return None


class Zstd:
    programs = ("zstd",)

    def __init__(self, level):
        self.level, self.name = level, f"zstd -{level} --patch-from"

    def diff(self, old, new, patch):
        return "zstd", "-q", "-f", f"-{self.level}", "--long=31", f"--patch-from={old}", new, "-o", patch

    def patch(self, old, patch, out):
        return "zstd", "-q", "-f", "-d", "--long=31", f"--patch-from={old}", patch, "-o", out

    def too_much(self, old, new):
        return None


def free_memory():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))


class ByFile:
    """A differ, once for each changed file."""

    def __init__(self, differ):
        self.differ, self.name, self.programs = differ, differ.name, differ.programs

    def measure(self, pair):
        result = Result()
        for file in pair.changed:
            gz = pair.gzip(file.new)
            # An empty file is no base and needs no patch.
            base = file.old if file.old and file.old.stat().st_size and file.new.stat().st_size else None
            if base and (why := self.differ.too_much(base, file.new)):
                result.remarks.append(f"{file.path}: {why}")
                base = None
            if not base:
                result.add(*gz)
                continue
            size, made, applied = patched(self.differ, base, file.new, pair.folder)
            # What the gzip that was not better cost is not counted.
            result.add(min(size, gz[0]), made, applied if size <= gz[0] else gz[2])
        return result


class OfTar:
    """A differ, once for the tars of the two releases."""

    # Bytes from which on a differ takes too long: bsdiff's time grows faster than its input.
    largest = {"bsdiff": 100_000_000}

    def __init__(self, differ):
        self.differ, self.name, self.programs = differ, f"{differ.name}, of the tar", differ.programs

    def measure(self, pair):
        result = Result()
        old, new = pair.tars()
        why = self.differ.too_much(old, new)
        if os.path.getsize(new) > self.largest.get(self.differ.name, float("inf")):
            why = f"left out, as it has more than {self.largest[self.differ.name]:,} bytes"
        if why:
            result.remarks.append(f"the tar: {why}")
            result.bytes = None
        else:
            result.add(*patched(self.differ, old, new, pair.folder))
        return result


def patched(differ, old, new, folder):
    """Makes one patch and applies it; gives its size and the two costs."""
    patch, out = folder / "patch", folder / "patched"
    for file in patch, out:
        file.unlink(missing_ok=True)
    made = run(*differ.diff(old, new, patch))
    applied = run(*differ.patch(old, patch, out))
    same_file(out, new)
    return patch.stat().st_size, made, applied


class Zsync:
    programs = ("zsync",)

    def __init__(self, compressed):
        self.compressed = compressed
        self.name = "zsync -z" if compressed else "zsync"

    def measure(self, pair):
        """Of the tar. Bytes are those that the server sent, the control file's among them."""
        old, new = pair.tars()
        return self.of_file(old, new, pair.folder)

    def of_file(self, old, new, folder):
        result = Result()
        served = fresh(SITE / "zsync")
        file = served / "new"
        shutil.copyfile(new, file)
        if self.compressed:
            made = run("zsyncmake", "-z", "-C", "-u", "new.gz", "-o", "new.zsync", "new", cwd=served)
            file.unlink()
        else:
            made = run("zsyncmake", "-u", "new", "-o", "new.zsync", "new", cwd=served)
        target = fresh(folder / "zsync")
        sent = Sent()
        taken = run("zsync", "-q", "-i", old, "-o", "out", f"{URL}/zsync/new.zsync", cwd=target)
        same_file(target / "out", new)
        result.add(sent.bytes(), made, taken)
        shutil.rmtree(served)
        return result


class Casync:
    """Of the tree itself, without owners and times."""

    name = "casync"
    programs = ("casync",)
    metadata = "--without=all", "--with=permissions"

    def measure(self, pair):
        result = Result()
        served = fresh(SITE / "casync")
        store = f"--store={served / 'default.castr'}"
        run("casync", "make", *self.metadata, store, pair.folder / "old.caidx", pair.old)
        made = run("casync", "make", *self.metadata, store, served / "new.caidx", pair.new)
        out = pair.folder / "casync"
        shutil.rmtree(out, ignore_errors=True)
        sent = Sent()
        taken = run("casync", "extract", *self.metadata, f"--store={URL}/casync/default.castr", f"--seed={pair.old}",
                    f"{URL}/casync/new.caidx", out)
        same(out, pair.new)
        result.add(sent.bytes(), made, taken)
        shutil.rmtree(served)
        return result


class Bita:
    """Of the tar."""

    name = "bita"
    programs = ("bita",)

    def measure(self, pair):
        result = Result()
        old, new = pair.tars()
        served = fresh(SITE / "bita")
        out = pair.folder / "bita.tar"
        out.unlink(missing_ok=True)
        made = run("bita", "compress", "--input", new, served / "new.cba")
        sent = Sent()
        taken = run("bita", "clone", "--http-retry-count", "5", "--seed", old, f"{URL}/bita/new.cba", out)
        same_file(out, new)
        result.add(sent.bytes(), made, taken)
        shutil.rmtree(served)
        return result


DIFFERS = Bsdiff(), Zstd(9), Xdelta3(), Zstd(19)
TOOLS = [
    Whole(),
    Zsync(compressed=False),
    Zsync(compressed=True),
    Casync(),
    Bita(),
    *(ByFile(differ) for differ in DIFFERS),
    *(OfTar(differ) for differ in DIFFERS),
]
