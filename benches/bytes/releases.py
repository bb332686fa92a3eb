"""Finds the releases that fetch-releases.sh has written to NAME/VERSION."""

import re


def natural(path):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def releases_in(folder, only=(), count=3):
    """Returns the last `count` releases of each program, the oldest first."""
    found = {}
    for program in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        releases = sorted((path for path in program.iterdir() if not path.name.startswith(".")), key=natural)[-count:]
        if len(releases) == count and (not only or program.name in only):
            found[program.name] = releases
    if not found or (only and len(found) < len(only)):
        raise SystemExit(f"{folder} does not have {count} releases of each of {', '.join(only) or 'any program'}")
    return found
