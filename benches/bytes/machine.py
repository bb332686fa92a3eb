"""Describes the machine and the versions of the measured programs."""

import os
import shutil
import subprocess


def facts():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB of memory, Linux {os.uname().release}"


def version(program):
    """Returns the version of a program: that of its Debian package, or the output of --version."""
    path = shutil.which(program)
    if not path:
        raise SystemExit(f"{program} is not in PATH; benches/bytes.sh lists what is needed")
    owner = subprocess.run(["dpkg-query", "-S", os.path.realpath(path)], capture_output=True, text=True)
    if owner.returncode == 0:
        package = owner.stdout.split(":")[0]
        shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", package], capture_output=True, text=True)
        return f"{shown.stdout} (Debian)"
    said = subprocess.run([program, "--version"], capture_output=True, text=True)
    return (said.stdout or said.stderr).splitlines()[0].strip()


def versions(programs):
    return "; ".join(version(program) for program in sorted(set(programs)))
