"""The parts of the tests of all bindings: a publisher, a real server on loopback, and a user."""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# The folder of the programs of the main workspace, and that of the bindings.
PROGRAMS = Path(os.environ.get("PROGRAMS", ROOT / "target/debug"))
BINDINGS = Path(os.environ.get("BINDINGS", ROOT / "target/bindings/debug"))
TIMEOUT = 120


def wait_for(what, look):
    """Waits until `look` returns a value."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


def run(*command, **options):
    """Runs a program to its end, and returns its output."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=TIMEOUT, **options)
    assert done.returncode == 0, (command, done)
    return done.stdout


class World:
    """A publisher with one key, nginx with the publisher's site, and the user's install root."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.site = folder / "site"
        self.key = folder / "release.pub.pem"
        self.root.mkdir()
        self.site.mkdir()
        run(PROGRAMS / "manifest-tool", "keygen", "--bits", "2048", folder / "release")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        os.chmod(folder, 0o755)
        (folder / "nginx.conf").write_text(
            f"""pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
            events {{ worker_connections 64; }}
            http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{ listen {self.url[7:-1]}; root {self.site}; }} }}"""
        )
        user = "user root; " if os.geteuid() == 0 else ""
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        self.server = subprocess.Popen([nginx, "-p", folder, "-c", folder / "nginx.conf", "-g", user + "daemon off;"])
        wait_for("the server", (folder / "nginx.pid").exists)

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def publish(self, version, files):
        """Publishes a release of the component `app`: paths and the files to copy or their text."""
        build = self.folder / f"build-{version}"
        for path, content in files.items():
            target = build / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, target)
            else:
                target.write_text(content)
        key = self.folder / "release.key.pem"
        tool = [PROGRAMS / "manifest-tool", "sign", build, "--site", self.site, "--key", key]
        run(*tool, "--component", "app", "--version", version, "--base-url", self.url + "app/")

    def patcher(self, *arguments):
        """Runs the command line, and returns its object."""
        done = subprocess.run(
            [PROGRAMS / "patcher", "--root", self.root, "--key", self.key, "--json", *arguments],
            capture_output=True, text=True, timeout=TIMEOUT,
        )
        return json.loads(done.stdout)

    def install(self):
        assert "applied" in self.patcher("install", "app", "--from", self.url + "app/")

    def swap(self):
        return self.patcher("status").get("swap")

    def version(self):
        return self.patcher("status")["components"][0]["version"]

    def output(self):
        """Returns what programs have printed that the helper has started."""
        log = self.root / ".patcher/output.log"
        return log.read_text() if log.exists() else ""

    def helper_log(self):
        log = self.root / ".patcher/helper.log"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.stop()


def stripped(program, folder):
    """Copies a program without debug information, as publishers do."""
    copy = folder / f"stripped-{program.name}"
    run("strip", program, "-o", copy)
    return copy
