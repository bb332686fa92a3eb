"""Saves results as lines of JSON.

An interrupted run can continue, and ours can be measured again alone.
"""

import json
import os
import resource
import time

from costs import progress

TICK = os.sysconf("SC_CLK_TCK")


class Results:
    """The results of one part by key, saved in a file.

    `keep` reuses the results of earlier runs. `so_far` uses only those.
    """

    def __init__(self, file, keep, so_far=False):
        self.file, self.so_far, self.run, self.of = file, so_far, time.strftime("%Y-%m-%d %H:%M"), {}
        file.parent.mkdir(exist_ok=True)
        if (keep or so_far) and file.exists():
            with open(file) as lines:
                for line in lines:
                    entry = json.loads(line)
                    self.of[tuple(entry["key"])] = entry
        else:
            open(file, "w").close()

    def get(self, key, measure):
        """Returns the result of a key (strings). Measures a missing one, or returns None with
        `so_far`."""
        key = tuple(key)
        if self.so_far and key not in self.of:
            return None
        if key not in self.of:
            progress(" ".join(part[:40] for part in key))
            clock, busy, own = time.monotonic(), busy_seconds(), own_seconds()
            record = measure()
            entry = {"key": key, "run": self.run, "record": record, "seconds": time.monotonic() - clock,
                     "others": max(0.0, busy_seconds() - busy - (own_seconds() - own))}
            self.of[key] = entry
            with open(self.file, "a") as out:
                print(json.dumps(entry), file=out, flush=True)
        self.of[key]["used"] = True
        return self.of[key]["record"]

    def circumstances(self):
        """Describes when the used results were measured and how busy the machine was otherwise."""
        used = [entry for entry in self.of.values() if entry.get("used")]
        runs = sorted({entry["run"] for entry in used})
        when = f"in one run of {runs[0]}" if len(runs) == 1 else f"in {len(runs)} runs from {runs[0]} to {runs[-1]}"
        seconds = sum(entry["seconds"] for entry in used)
        others = sum(entry["others"] for entry in used) / max(seconds, 1e-9)
        return (f"Measured {when}, {seconds:,.0f} s in all; meanwhile everything else on the machine took "
                f"{others:.2f} of its {os.cpu_count()} cores on average (the web server is among that).")


def busy_seconds():
    """Returns the CPU seconds of the whole machine so far."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, *_ = (int(number) for number in file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / TICK


def own_seconds():
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in times)
