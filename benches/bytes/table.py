"""Part `table`: bytes, time and memory of all tools for the releases of all corpora."""

from costs import Cost, progress
from machine import facts, versions
from ours import Component, identity
from server import WORK
from tools import TOOLS, Pair

OURS = "ours"
# The goals for an update from the release before, in MB: in general, and with program deltas.
GOALS = {
    "esbuild-win": (0.46, 0.150), "ruff": (3.6, 2.15), "numpy": (0.070, None), "pyside-win": (3.7, 1.3),
    "typescript": (0.0025, None), "jupyterlab": (0.060, None),
}
# The largest acceptable ratio to the best other tool.
MAX_RATIO = 1.02


def measure(corpora, results):
    """Returns the lines of the table. `corpora` maps names to the folders of three releases."""
    measured, pairs = {}, {}
    tool_versions = versions(program for tool in TOOLS for program in tool.programs)
    for name, releases in corpora.items():
        ours = results.get((name, OURS, identity()), lambda: of_ours(name, releases))
        for back in (0, 1):
            measured[name, back, OURS] = ours and ours[back]
    # Runs each tool on all programs before the next tool, so that a partial table covers every
    # program.
    for tool in TOOLS:
        for name, releases in corpora.items():
            for back, old in enumerate((releases[1], releases[0])):
                def of_tool():
                    if (name, back) not in pairs:
                        pairs[name, back] = Pair(old, releases[2])
                    return tool.measure(pairs[name, back]).record()

                key = name, old.name, releases[2].name, tool.name, versions(tool.programs)
                measured[name, back, tool.name] = results.get(key, of_tool)
    lines = [f"{facts()}. {tool_versions}. {results.circumstances()}", ""]
    for back, title in enumerate(("From the release before", "From the one before that")):
        lines += bytes_table(title, back, corpora, measured)
    lines += verdict(corpora, measured)
    for name, releases in corpora.items():
        lines += costs_table(name, releases, measured)
    return lines


def of_ours(name, releases):
    """Publishes three releases in order and updates a copy of each of the first two to the last."""
    component = Component(name)
    roots = []
    for release in releases[:2]:
        component.sign(release, release.name)
        roots.append(WORK / f"root-{release.name}")
        component.install(roots[-1])
    progress(f"{name}: sign {releases[2].name}")
    signed = component.sign(releases[2], releases[2].name)
    records = []
    for root in reversed(roots):
        update = component.update(root, releases[2])
        records.append({"bytes": update.bytes, "manifest": update.manifest, "publisher": signed.record(),
                        "client": update.cost.record(), "remarks": []})
    return records


def bytes_table(title, back, corpora, measured):
    names = [OURS, *(tool.name for tool in TOOLS)]
    of = [f"{name} {releases[1 - back].name} → {releases[2].name}" for name, releases in corpora.items()]
    lines = [f"### {title}: bytes", "", f"| | {' | '.join(of)} |", "|---" * (len(of) + 1) + "|"]
    for tool in names:
        cells = []
        for name in corpora:
            size = value(measured, name, back, tool)
            best = min(value(measured, name, back, other) for other in names)
            cells.append(unknown(measured[name, back, tool]) or (f"**{size:,}**" if size == best else f"{size:,}"))
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    parts = [f"{value(measured, name, back, OURS) / best_other(measured, name, back)[0]:.3f}" for name in corpora]
    lines.append(f"| ours ÷ the best other | {' | '.join(parts)} |")
    manifests = [f"{ours['manifest']:,}" if (ours := measured[name, back, OURS]) else "?" for name in corpora]
    lines.append(f"| (our manifest) | {' | '.join(manifests)} |")
    return [*lines, ""]


def unknown(record):
    """Returns the text for a missing figure, or None if the figure is known."""
    return "not measured" if record is None else "left out" if record["bytes"] is None else None


def value(measured, name, back, tool):
    record = measured[name, back, tool]
    return float("inf") if unknown(record) else record["bytes"]


def best_other(measured, name, back):
    return min((value(measured, name, back, tool.name), tool.name) for tool in TOOLS)


def verdict(corpora, measured):
    """Returns the table of goals and results."""
    lines = ["### Goals", "", "| | sent | at most | | for programs | | best other tool, ×1.02 | |", "|---" * 8 + "|"]
    for name, releases in corpora.items():
        for back in (0, 1):
            size = value(measured, name, back, OURS)
            goals = GOALS.get(name, (None, None)) if back == 0 else (None, None)
            cells = [f"{name} from {releases[1 - back].name}", f"{size:,}"]
            for goal in goals:
                cells += ["", ""] if goal is None else [f"{round(goal * 1e6):,}", said(size <= goal * 1e6)]
            best, tool = best_other(measured, name, back)
            cells += [f"{best * MAX_RATIO:,.0f} ({tool})", said(size <= best * MAX_RATIO)]
            lines.append(f"| {' | '.join(cells)} |")
    remarks = {f"- {name}, {tool}: {remark}" for (name, _, tool), record in measured.items() if record
               for remark in record["remarks"]}
    return [*lines, "", *sorted(remarks), *([""] if remarks else [])]


def said(reached):
    return "reached" if reached else "**missed**"


def costs_table(name, releases, measured):
    lines = [f"### {name} {releases[1].name} → {releases[2].name}: time and memory", "",
             "| | bytes | publisher, s | of processors, s | peak, MB | client, s | of processors, s | peak, MB |", "|---" * 8 + "|"]
    for tool in [OURS, *(tool.name for tool in TOOLS)]:
        record = measured[name, 0, tool]
        if why := unknown(record):
            lines.append(f"| {tool} | {why} | | | | | | |")
            continue
        cells = [f"{record['bytes']:,}"]
        for side in "publisher", "client":
            cost = Cost(**record[side])
            cells += [f"{cost.seconds:.2f}", f"{cost.cpu:.2f}", f"{cost.memory * 1024 / 1e6:.1f}"]
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    return [*lines, ""]
