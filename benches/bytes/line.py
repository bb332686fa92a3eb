"""Part `line`: measures one update on a slow line, from the request to the new files."""

import os
import shlex
import shutil

from costs import Cost, progress, run
from machine import facts, versions
from ours import Component, identity
from server import SITE, URL, WORK, Sent
from tools import Bsdiff, Pair, Xdelta3, Zstd
from trees import fresh, same, sha256

NAME = "pyside-win"


def measure(corpora, results):
    if NAME not in corpora or "LINE" not in os.environ:
        raise SystemExit(f"this needs {NAME} and a line: see bytes.sh")
    _, old, new = corpora[NAME]
    rows, pair = {"ours": results.get(("ours", identity()), lambda: of_ours(old, new))}, []

    def both():
        if not pair:
            pair.append(Pair(old, new))
        return pair[0]

    contestants = [Release("gzip -9", "tar.gz"), Release("zstd -19", "tar.zst"), Changed(),
                   *(Patches(differ) for differ in (Bsdiff(), Xdelta3(), Zstd(19), Zstd(9))),
                   Zsync(), Casync(), Bita()]
    for contestant in contestants:
        key = contestant.name, old.name, new.name, versions(contestant.programs)
        rows[contestant.name] = results.get(key, lambda: contestant.measure(both()))
    best = min(record["cost"]["seconds"] for name, record in rows.items() if name != "ours")
    lines = [f"{facts()}. {results.circumstances()}", "",
             f"| {NAME} {old.name} → {new.name}, {os.environ['LINE']} | bytes | seconds | of processors | peak, MB |", "|---" * 5 + "|"]
    for name, record in rows.items():
        cost = Cost(**record["cost"])
        lines.append(f"| {name} | {record['bytes']:,} | {cost.seconds:.2f} | {cost.cpu:.2f} | {cost.memory * 1024 / 1e6:.1f} |")
    ours = rows["ours"]["cost"]["seconds"]
    return [*lines, "", f"Wanted: less than all others. {ours:.2f} s and {best:.2f} s: {'reached' if ours < best else '**missed**'}."]


def of_ours(old, new):
    component, root = Component(NAME), WORK / "root-line"
    component.sign(old, old.name)
    # Installs the old release from the folder and not over the line.
    component.client(root, "install", NAME, "--from", SITE / NAME)
    component.sign(new, new.name)
    update = component.update(root, new)
    shutil.rmtree(root)
    return {"bytes": update.bytes + update.manifest, "cost": update.cost.record()}


class Contestant:
    """A way to distribute a release: files to serve, and a script that fetches and applies them."""

    def measure(self, pair):
        progress(f"{self.name}: publishing")
        served, target = fresh(SITE / "line"), fresh(WORK / "line")
        script = WORK / "line.sh"
        script.write_text("set -euo pipefail\n" + self.publish(pair, served))
        sent = Sent()
        cost = run("bash", script, cwd=target)
        size = sent.bytes()
        self.check(pair, target)
        shutil.rmtree(served)
        return {"bytes": size, "cost": cost.record()}

    def check(self, pair, target):
        same(target, pair.new)


class Release(Contestant):
    """The whole new release in one archive."""

    def __init__(self, packer, ending):
        self.packer, self.ending = packer.split(), ending
        self.name, self.programs = f"curl, tar: the release as {ending}", ("curl", self.packer[0])

    def publish(self, pair, served):
        _, tar = pair.tars()
        run(*self.packer, "-c", tar, to=served / f"new.{self.ending}")
        return f"curl -sSf {URL}/line/new.{self.ending} | tar -x --{'gzip' if self.ending == 'tar.gz' else 'zstd'}\n"


class Patches(Contestant):
    """The patches and gzips of changed files in one tar."""

    def __init__(self, differ):
        self.differ, self.name, self.programs = differ, f"curl, {differ.name}", ("curl", *differ.programs)

    def publish(self, pair, served):
        """Returns a script that writes the new contents to numbered files."""
        parts, script = fresh(pair.folder / "parts"), [f"curl -sSf {URL}/line/parts.tar | tar -x"]
        for number, file in enumerate(pair.changed):
            part, out = parts / str(number), f"{number}.new"
            run("gzip", "-9", "-n", "-c", file.new, to=part)
            command = f"gzip -dc {number} >{out}"
            if self.differ and file.old and file.old.stat().st_size and file.new.stat().st_size:
                patch = parts / "patch"
                run(*self.differ.diff(file.old, file.new, patch))
                if patch.stat().st_size <= part.stat().st_size:
                    patch.replace(part)
                    command = shlex.join(str(word) for word in self.differ.patch(file.old, number, out))
                else:
                    patch.unlink()
            script.append(command)
        run("tar", "-cf", served / "parts.tar", "-C", parts, ".")
        return "\n".join(script) + "\n"

    def check(self, pair, target):
        for number, file in enumerate(pair.changed):
            if sha256(target / f"{number}.new") != sha256(file.new):
                raise SystemExit(f"{self.name}: {file.path} is wrong")


class Changed(Patches):
    def __init__(self):
        self.differ, self.name, self.programs = None, "curl, gunzip of what changed", ("curl", "gzip")


class Zsync(Contestant):
    name, programs = "zsync -z", ("zsync",)

    def publish(self, pair, served):
        old, new = pair.tars()
        shutil.copyfile(new, served / "new")
        run("zsyncmake", "-z", "-C", "-u", "new.gz", "-o", "new.zsync", "new", cwd=served)
        return f"zsync -q -i {shlex.quote(str(old))} -o out {URL}/line/new.zsync\n"

    def check(self, pair, target):
        if sha256(target / "out") != sha256(pair.tars()[1]):
            raise SystemExit("zsync: the tar is wrong")


class Casync(Contestant):
    name, programs = "casync", ("casync",)

    def publish(self, pair, served):
        metadata = "--without=all --with=permissions"
        for tree, index in ((pair.old, WORK / "old.caidx"), (pair.new, served / "new.caidx")):
            run("casync", "make", *metadata.split(), f"--store={served / 'default.castr'}", index, tree)
        return (f"casync extract {metadata} --store={URL}/line/default.castr --seed={shlex.quote(str(pair.old))} "
                f"{URL}/line/new.caidx out\n")

    def check(self, pair, target):
        same(target / "out", pair.new)


class Bita(Contestant):
    name, programs = "bita", ("bita",)

    def publish(self, pair, served):
        old, new = pair.tars()
        run("bita", "compress", "--input", new, served / "new.cba")
        return f"bita clone --seed {shlex.quote(str(old))} {URL}/line/new.cba out\n"

    def check(self, pair, target):
        if sha256(target / "out") != sha256(pair.tars()[1]):
            raise SystemExit("bita: the tar is wrong")
