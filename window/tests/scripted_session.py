#!/usr/bin/python3
"""A session that answers by a script, for the states that a real one passes through too quickly.

SCRIPT is a list of [method, lines]. Each request takes the first entry with its method; `ID` in a
line stands for the request's id. A request without an entry gets no answer. REQUESTS is a file that
the requests are written to.
"""

import json
import os
import sys

with open(os.environ["SCRIPT"]) as file:
    script = json.load(file)
for request in map(json.loads, sys.stdin):
    with open(os.environ["REQUESTS"], "a") as log:
        print(json.dumps(request), file=log)
    entry = next((entry for entry in script if entry[0] == request["method"]), None)
    if entry is None:
        continue
    script.remove(entry)
    for line in entry[1]:
        line = {key: request["id"] if value == "ID" else value for key, value in line.items()}
        print(json.dumps(line), flush=True)
