"""The web server that bytes.sh has started: its folder and its access log."""

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
    """Counts the bytes that the server sends from now on. No request may be in progress."""

    number = 0

    def __init__(self):
        settle()
        self.start = LOG.stat().st_size

    def bodies(self):
        """Returns a pair for each request: its path and the size of the response body."""
        return [(uri, int(size)) for uri, size, *_ in self.lines()]

    def requests(self):
        """Returns all bytes of each request and its response, headers included."""
        return [int(sent) + int(received) for *_, sent, received in self.lines()]

    def lines(self):
        settle()
        with open(LOG) as log:
            log.seek(self.start)
            return [line.split() for line in log if not line.startswith("/mark-")]

    def bytes(self, wanted=lambda uri: True):
        return sum(size for uri, size in self.bodies() if wanted(uri))


def settle():
    """Waits until the log is complete: nginx writes a line after it has sent the response."""
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
    raise SystemExit("the server's log does not contain the last request")
