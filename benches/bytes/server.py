"""The web server that bytes.sh has started: its folder, and what it has sent."""

import os
import time
import urllib.error
import urllib.request
from pathlib import Path

WORK = Path(os.environ["WORK"])
URL = os.environ["URL"]
SITE = WORK / "site"
LOG = WORK / "nginx" / "access.log"


class Sent:
    """What the server sends from now on; nothing may be under way."""

    number = 0

    def __init__(self):
        settle()
        self.start = LOG.stat().st_size

    def bodies(self):
        """A pair for each request: its path and the bytes of the answer's body."""
        settle()
        with open(LOG) as log:
            log.seek(self.start)
            lines = [line.split() for line in log if not line.startswith("/mark-")]
        return [(uri, int(size)) for uri, size, _ in lines]

    def bytes(self, wanted=lambda uri: True):
        return sum(size for uri, size in self.bodies() if wanted(uri))


def settle():
    """Waits until the log has everything that was sent: a line is written when its answer has gone out."""
    Sent.number += 1
    mark = f"/mark-{Sent.number} "
    try:
        urllib.request.urlopen(URL + mark.strip())
    except urllib.error.HTTPError:
        pass
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open(LOG, "rb") as log:
            log.seek(max(0, LOG.stat().st_size - 4096))
            if mark in log.read().decode():
                return
        time.sleep(0.01)
    raise SystemExit("the server's log does not say what it should")
