"""A program in Python that keeps itself up to date: app.py of the component `app`."""

import sys

from patcher import Patcher, PatcherError

KEY = """
-----BEGIN PUBLIC KEY-----
…
-----END PUBLIC KEY-----
"""  # the public half of the publisher's key
VERSION = "1"

try:
    with Patcher.for_program("app", keys=[KEY]) as app:
        print(VERSION, app.started["started"], flush=True)  # the program's own work
        if VERSION in sys.argv:
            sys.exit(7)  # fails its probation: the version before comes back
        app.confirm()  # this version works; without this call the old one comes back
        app.update()  # downloads a newer version, and restarts as it
except PatcherError as error:
    print("no updates:", error)  # an error never has to end the program
