"""This project's two programs, as publisher and client use them."""

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
    """Tells one build of the programs from another."""
    return " ".join(sha256(BIN / name)[:16] for name in ("manifest-tool", "patcher"))


@dataclass(frozen=True)
class Update:
    """What came to a client, and what that cost it."""

    cost: Cost
    bytes: int
    objects: int
    manifest: int

    @classmethod
    def of(cls, cost, bodies):
        objects = [size for uri, size in bodies if "/objects/" in uri]
        return cls(cost, sum(objects), len(objects), sum(size for uri, size in bodies if uri.endswith(".xml")))


class Component:
    """A component on the site and its installed copies."""

    def __init__(self, name, site=SITE):
        self.name, self.site = name, site
        shutil.rmtree(site / name, ignore_errors=True)
        if not KEY.exists():
            run(BIN / "manifest-tool", "keygen", WORK / "release", "--bits", "3072")

    def sign(self, tree, version, *options):
        """Publishes a copy of a tree and gives the cost of `sign`."""
        build = WORK / "build"
        shutil.rmtree(build, ignore_errors=True)
        shutil.copytree(tree, build)
        return self.sign_in_place(build, version, *options)

    def sign_in_place(self, build, version, *options):
        """Publishes a tree, which gets a manifest, and gives the cost of `sign`."""
        return run(BIN / "manifest-tool", "sign", build, "--site", self.site, "--key", KEY, "--component", self.name,
                   "--version", version, "--base-url", f"{URL}/{self.name}/", *options)

    def client(self, root, *arguments):
        return run(BIN / "patcher", "--root", root, "--key", PUBLIC_KEY, *arguments)

    def install(self, root):
        shutil.rmtree(root, ignore_errors=True)
        return self.client(root, "install", self.name, "--from", f"{URL}/{self.name}/{MANIFEST}")

    def update(self, root, expected):
        """Updates an installed copy, and looks whether that is right."""
        sent = Sent()
        cost = self.client(root, "update", self.name)
        update = Update.of(cost, sent.bodies())
        same(root / self.name, expected, but=(MANIFEST,))
        self.client(root, "verify", self.name)
        return update

    def manifest(self):
        return self.site / self.name / MANIFEST

    def gzips(self):
        """Of the last release, by content: the size of its gzip, and whether that is in segments."""
        files = ElementTree.parse(self.manifest()).getroot().iter("file")
        return {file.get("sha256"): (int(file.find("gz").get("size")), file.find("chunks") is not None) for file in files}
