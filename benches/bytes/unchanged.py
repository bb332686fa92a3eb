"""Part `unchanged`: measures `sign` of a tree that has not changed."""

from costs import Cost, progress
from machine import facts
from ours import Component, identity

NAME = "pyside-win"
RUNS = 3
GOAL = 2.0


def measure(corpora, results):
    if NAME not in corpora:
        raise SystemExit(f"there is no {NAME}")
    releases = corpora[NAME]
    costs = [Cost(**cost) for cost in results.get((NAME, identity()), lambda: of_ours(releases))]
    lines = [f"{facts()}. {results.circumstances()}", "",
             f"| `sign` of {NAME} {releases[2].name} again, under a new version | seconds | of processors | peak, MB |", "|---" * 4 + "|"]
    for number, cost in enumerate(costs, 1):
        lines.append(f"| {number} | {cost.seconds:.2f} | {cost.cpu:.2f} | {cost.memory * 1024 / 1e6:.1f} |")
    middle = sorted(cost.seconds for cost in costs)[RUNS // 2]
    reached = "reached" if middle < GOAL else "**missed**"
    return [*lines, "", f"Wanted: under {GOAL:.0f} s. The middle one took {middle:.2f} s: {reached}."]


def of_ours(releases):
    component = Component(NAME)
    for release in releases:
        progress(f"sign {release.name}")
        component.sign(release, release.name)
    major, *_ = releases[2].name.split(".")
    return [component.sign(releases[2], f"{int(major) + 1}.0.{run}").record() for run in range(RUNS)]
