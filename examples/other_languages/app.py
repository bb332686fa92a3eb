#!/usr/bin/env python3
"""A program in Python that keeps itself up to date by way of the command line.

It lies in ROOT/app/, with `patcher`, `patcher-helper` and `release.pub.pem` beside it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATCHER = [HERE / "patcher", "--root", HERE.parent, "--key", HERE / "release.pub.pem", "--json"]


def patcher(*arguments):
    """The exit code and the one JSON object of a command; what went wrong is in its `error`."""
    run = subprocess.run([*PATCHER, *arguments], stdout=subprocess.PIPE, text=True)
    return run.returncode, json.loads(run.stdout)


def update():
    """Becomes the newest version, if there is one: then this does not return."""
    code, answer = patcher("check", "app")
    if code != 10:  # 0: up to date; 20 and above: not this time
        print("no update:", answer.get("error", {}).get("message", "up to date"))
        return
    print(answer["updates"][0]["to"], "is there,", answer["updates"][0]["bytes"], "bytes")
    for _ in range(3):
        code, answer = patcher("download", "app")  # goes on at the byte where it stopped
        if code != 20:
            break
    if code != 0:
        print("no update:", answer["error"]["message"])
        return
    # The helper waits for the end of this process, swaps the files, and starts the program again.
    code, answer = patcher("apply", "--wait-pid", str(os.getpid()), "--restart", "--", sys.executable, __file__)
    if answer.get("scheduled"):
        sys.exit(0)


update()
print("hello, this is", (HERE / "version").read_text().strip(), flush=True)
patcher("confirm")  # it works; without a word from it the old version would come back
