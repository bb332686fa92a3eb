"""Runs commands and measures their time and memory."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, CPU seconds, and peak resident memory in kB.

    The sum of two costs adds the seconds and keeps the larger peak.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0

    def __add__(self, other):
        return Cost(self.seconds + other.seconds, self.cpu + other.cpu, max(self.memory, other.memory))

    def record(self):
        return asdict(self)


def run(*command, cwd=None, to=None, allowed=(0,)):
    """Runs one command and returns its cost. Ends the benchmark if it fails.

    `to` is a file for the output. GNU time runs the command, because the peak memory of a direct
    child would start at that of this process.
    """
    peak_file = os.path.join(os.environ["WORK"], f"peak.{os.getpid()}")
    command = [str(part) for part in command]
    with open(to or os.devnull, "wb") as out:
        start = time.perf_counter()
        child = subprocess.Popen(
            ["/usr/bin/time", "-q", "-f", "%M", "-o", peak_file, *command],
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, process_group=0,
        )
        try:
            said = child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            # A stopped benchmark leaves no process behind.
            os.killpg(child.pid, signal.SIGKILL)
            raise
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in allowed:
        sys.stderr.write(said.decode(errors="replace"))
        raise SystemExit(f"exit code {child.returncode}: {' '.join(command)}")
    with open(peak_file) as file:
        memory = int(file.read().split()[-1])
    return Cost(seconds, usage.ru_utime + usage.ru_stime, memory)


def progress(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
