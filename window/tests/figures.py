"""Measures the window: the time to the first picture, memory and size.

  python3 window/tests/figures.py PROGRAM    PROGRAM is a release build

It prints a table.
"""

import ctypes
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from answers import found
from conftest import HERE, Desktop

RUNS = 9


class Pixel:
    """One pixel of the screen, which the window covers. It is black until the window is painted."""

    def __init__(self):
        self.x11 = ctypes.CDLL("libX11.so.6")
        self.x11.XOpenDisplay.restype = ctypes.c_void_p
        self.x11.XGetImage.restype = ctypes.c_void_p
        self.x11.XDefaultRootWindow.restype = ctypes.c_ulong
        self.display = ctypes.c_void_p(self.x11.XOpenDisplay(None))
        self.root = ctypes.c_ulong(self.x11.XDefaultRootWindow(self.display))

    def is_painted(self):
        image = self.x11.XGetImage(self.display, self.root, 8, 8, 1, 1, ctypes.c_ulong(0xFFFFFF), 2)
        # The pointer to the pixels follows four integers in the structure.
        pixels = ctypes.cast(image + 16, ctypes.POINTER(ctypes.c_void_p))[0]
        bytes = ctypes.string_at(pixels, 3)
        self.x11.XDestroyImage(ctypes.c_void_p(image))
        return any(bytes)


def memory(pid):
    """Returns the resident memory, and its share that the process does not share, in bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in rollup.splitlines()[1:]}
    return fields["Rss"], fields["Pss"]


def run(program, pixel, language):
    """Returns milliseconds to the first picture, and the memory with an offer on the screen."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script"
        script.write_text(json.dumps([found()]))
        environment = {**os.environ, "SCRIPT": str(script), "REQUESTS": str(Path(folder) / "requests")}
        command = [program, "--root", "/", "--patcher", HERE / "scripted_session.py", "--lang", language]
        start = time.monotonic()
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not pixel.is_painted():
            time.sleep(0.001)
        milliseconds = (time.monotonic() - start) * 1000
        # The offer follows when the scripted session has started.
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            time.sleep(0.1)
        figures = memory(child.pid)
        child.kill()
        child.wait()
        while pixel.is_painted():
            time.sleep(0.01)
        return milliseconds, *figures


def main():
    program = Path(sys.argv[1]).resolve()
    code = program.read_bytes()
    desktop = Desktop()
    try:
        pixel = Pixel()
        print("| language | first picture, median | slowest | resident memory | proportional share |")
        print("|---|--:|--:|--:|--:|")
        for language in ("en", "ar", "ja"):
            runs = [run(program, pixel, language) for _ in range(RUNS)]
            times, resident, share = zip(*runs)
            print(f"| {language} | {statistics.median(times):.0f} ms | {max(times):.0f} ms "
                  f"| {max(resident) / 1e6:.1f} MB | {max(share) / 1e6:.1f} MB |")
        print(f"\nSize: {len(code):,} bytes, {len(gzip.compress(code, 9)):,} bytes packed by `gzip -9`.")
    finally:
        desktop.stop()


if __name__ == "__main__":
    main()
