"""Other tools: the commands of a publisher and of a client, and the bytes between them.

- By file: one patch for each new content, from the old file at the same path. `gzip -9` counts if
  there is no old file or if the gzip is smaller. A file that the old release has under another name
  costs nothing.
- Of the whole: the same for two tars, and tools that find the common parts of two releases
  themselves.
- The time and memory of a client are those of making the new files. With patches by file, nothing
  is fetched, checked or installed.
"""

import os
import shutil
from pathlib import Path

from costs import Cost, run
from server import SITE, URL, WORK, Sent
from trees import changed, fresh, same, same_file, tar


class Pair:
    """Two releases and the intermediate results that several tools share."""

    def __init__(self, old, new):
        self.old, self.new = Path(old), Path(new)
        self.changed = changed(self.old, self.new)
        self.folder = fresh(WORK / f"pair-{self.new.parent.name}-{self.old.name}")
        self.gzipped = {}

    def gzip(self, file):
        """Returns the size of a file by `gzip -9 -n`, and the costs of packing and unpacking it."""
        if file not in self.gzipped:
            packed, out = self.folder / "gz", self.folder / "gunzipped"
            made = run("gzip", "-9", "-n", "-c", file, to=packed)
            undone = run("gzip", "-d", "-c", packed, to=out)
            same_file(out, file)
            self.gzipped[file] = packed.stat().st_size, made, undone
        return self.gzipped[file]

    def tars(self):
        """Returns the two releases as tars."""
        files = self.folder / "old.tar", self.folder / "new.tar"
        for tree, file in zip((self.old, self.new), files):
            if not file.exists():
                tar(tree, file)
        return files


class Result:
    """The bytes and costs of one tool for one pair. `remarks` lists what the tool could not do."""

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
    """Sends every new content as a gzip."""

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
        """Returns a remark if memory is too small.

        bsdiff takes 17 times the old file, or 9 times plus the new one.
        """
        old, new = os.path.getsize(old), os.path.getsize(new)
        needed, free = max(17 * old, 9 * old + new), free_memory()
        return f"{needed >> 20} MiB needed, {free >> 20} free" if needed > free else None


class Xdelta3:
    name = "xdelta3 -9"
    programs = ("xdelta3",)

    def window(self, old):
        # Covers the whole old file. The default covers 64 MiB.
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
    """Runs a differ once for each changed file."""

    def __init__(self, differ):
        self.differ, self.name, self.programs = differ, differ.name, differ.programs

    def measure(self, pair):
        result = Result()
        for file in pair.changed:
            gz = pair.gzip(file.new)
            # An empty file is useless as a base and needs no patch.
            base = file.old if file.old and file.old.stat().st_size and file.new.stat().st_size else None
            if base and (why := self.differ.too_much(base, file.new)):
                result.remarks.append(f"{file.path}: {why}")
                base = None
            if not base:
                result.add(*gz)
                continue
            size, made, applied = patched(self.differ, base, file.new, pair.folder)
            # The cost of a gzip that is not used is not counted.
            result.add(min(size, gz[0]), made, applied if size <= gz[0] else gz[2])
        return result


class OfTar:
    """Runs a differ once for the tars of the two releases."""

    # The size limit in bytes. The time of bsdiff grows faster than its input.
    max_bytes = {"bsdiff": 100_000_000}

    def __init__(self, differ):
        self.differ, self.name, self.programs = differ, f"{differ.name}, of the tar", differ.programs

    def measure(self, pair):
        result = Result()
        old, new = pair.tars()
        why = self.differ.too_much(old, new)
        if os.path.getsize(new) > self.max_bytes.get(self.differ.name, float("inf")):
            why = f"left out, as it has more than {self.max_bytes[self.differ.name]:,} bytes"
        if why:
            result.remarks.append(f"the tar: {why}")
            result.bytes = None
        else:
            result.add(*patched(self.differ, old, new, pair.folder))
        return result


def patched(differ, old, new, folder):
    """Makes one patch and applies it. Returns its size and the two costs."""
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
        """Measures the tar. The bytes are all that the server sent, including the control file."""
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
    """Measures the tree itself, without owners and timestamps."""

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
    """Measures the tar."""

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
