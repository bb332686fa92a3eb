#!/usr/bin/env python3
"""A program in Python that keeps itself up to date with the command line program.

It is installed in ROOT/app/, with `patcher`, `patcher-helper` and `release.pub.pem` beside it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATCHER = [HERE / "patcher", "--root", HERE.parent, "--key", HERE / "release.pub.pem", "--json"]


def patcher(*arguments):
    """Returns the exit code and the JSON object of a command; an error is in its `error`."""
    run = subprocess.run([*PATCHER, *arguments], stdout=subprocess.PIPE, text=True)
    return run.returncode, json.loads(run.stdout)


def update():
    """Becomes the newest version, if there is one. Then it does not return."""
    code, answer = patcher("check", "app")
    if code != 10:  # 0: up to date; 20 and above: an error
        print("no update:", answer.get("error", {}).get("message", "up to date"))
        return
    print(answer["updates"][0]["to"], "is available,", answer["updates"][0]["bytes"], "bytes")
    for _ in range(3):
        code, answer = patcher("download", "app")  # continues at the byte where it stopped
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
patcher("confirm")  # this version works; without this call the old one comes back
