"""Runs this project's programs as a publisher and as a client."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from costs import Cost, run
from server import SITE, URL, WORK, Sent
from trees import same, sha256

BIN = Path(os.environ["BIN"])
KEY = WORK / "release.key.pem"
PUBLIC_KEY = WORK / "release.pub.pem"
MANIFEST = "manifest.xml"


def identity():
    """Returns a text that identifies this build of the programs."""
    return " ".join(sha256(BIN / name)[:16] for name in ("manifest-tool", "patcher"))


@dataclass(frozen=True)
class Update:
    """The bytes and objects that a client fetched, and the cost."""

    cost: Cost
    bytes: int
    objects: int
    manifest: int

    @classmethod
    def of(cls, cost, bodies):
        objects = [size for uri, size in bodies if "/objects/" in uri]
        return cls(cost, sum(objects), len(objects), sum(size for uri, size in bodies if uri.endswith(".xml")))


class Component:
    """A component on the site."""

    def __init__(self, name, site=SITE, layout="folders"):
        self.name, self.site, self.layout = name, site, layout
        self.url, self.latest = f"{URL}/{name}/", f"{name}/{MANIFEST}"
        if layout == "flat":
            # A folder of its own, so that it is removed whole.
            self.site, self.url, self.latest = site / f"{name}-flat", f"{URL}/{name}-flat/", f"{name}-flat/{name}.{MANIFEST}"
        shutil.rmtree(self.site if layout == "flat" else site / name, ignore_errors=True)
        if not KEY.exists():
            run(BIN / "manifest-tool", "keygen", WORK / "release", "--bits", "3072")

    def sign(self, tree, version, *options):
        """Publishes a copy of a tree and returns the cost of `sign`."""
        build = WORK / "build"
        shutil.rmtree(build, ignore_errors=True)
        shutil.copytree(tree, build)
        return self.sign_in_place(build, version, *options)

    def sign_in_place(self, build, version, *options):
        """Publishes a tree, writes a manifest into it, and returns the cost of `sign`."""
        return run(BIN / "manifest-tool", "sign", build, "--site", self.site, "--key", KEY, "--component", self.name,
                   "--version", version, "--base-url", self.url, "--layout", self.layout, *options)

    def client(self, root, *arguments):
        return run(BIN / "patcher", "--root", root, "--key", PUBLIC_KEY, *arguments)

    def install(self, root):
        shutil.rmtree(root, ignore_errors=True)
        return self.client(root, "install", self.name, "--from", f"{URL}/{self.latest}")

    def update(self, root, expected):
        """Updates an installed copy and checks the result."""
        sent = Sent()
        cost = self.client(root, "update", self.name)
        update = Update.of(cost, sent.bodies())
        same(root / self.name, expected, but=(MANIFEST,))
        self.client(root, "verify", self.name)
        return update

    def manifest(self):
        return SITE / self.latest if self.layout == "flat" else self.site / self.name / MANIFEST

    def gzips(self):
        """Returns the gzip size of each content of the last release, and whether it has
        segments."""
        files = ElementTree.parse(self.manifest()).getroot().iter("file")
        return {file.get("sha256"): (int(file.find("gz").get("size")), file.find("chunks") is not None) for file in files}
