#!/usr/bin/env python3
"""A program in Python that keeps itself up to date by a session, one child process.

It is installed in ROOT/app/, with `patcher`, `patcher-helper` and `release.pub.pem` beside it.
"""

import itertools
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Session:
    """The session of this program. It ends with this process."""

    def __init__(self):
        options = ["--root", HERE.parent, "--key", HERE / "release.pub.pem"]
        command = [HERE / "patcher", *options, "session", "--program", __file__, "--", sys.executable, *sys.argv]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ids = itertools.count(1)

    def ask(self, method, **params):
        """Returns the result of a request; an error has `message` and `code`."""
        request = {"id": next(self.ids), "method": method, "params": params}
        print(json.dumps(request), file=self.process.stdin, flush=True)
        for line in map(json.loads, self.process.stdout):
            if line.get("event") == "progress":
                print(line["bytes"], "of", line["bytes_total"], "bytes", file=sys.stderr)
            elif line.get("id") == request["id"]:
                return line.get("result") or line["error"]
        return {"message": "the session has ended"}


session = Session()
started = session.ask("start")  # finishes what an earlier run began, and says what happened
if started.get("started") == "handed-over":
    sys.exit()  # another version starts when this process has ended
print("hello, this is", (HERE / "version").read_text().strip(), flush=True)
session.ask("confirm")  # this version works; without this call the old one comes back
answer = session.ask("download")  # checks, and continues at the byte where it stopped
if answer.get("staged") and session.ask("restart").get("scheduled"):
    sys.exit()  # the helper swaps the files now, and starts the program again
print(answer.get("message", "up to date"))
