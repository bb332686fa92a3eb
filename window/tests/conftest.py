"""The parts of the tests: a desktop with a screen reader's bus, a window on it, and its session."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# The window, and the folder of the programs of the main workspace.
WINDOW = Path(os.environ.get("WINDOW", ROOT / "target/window/debug/patcher-window"))
PROGRAMS = Path(os.environ.get("PROGRAMS", ROOT / "target/debug"))
TIMEOUT = 120


def sibling(name):
    """Loads a module of the tests of the bindings, which has the publisher and the server."""
    spec = importlib.util.spec_from_file_location(f"bindings_{name}", ROOT / "bindings/tests" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bindings = sibling("conftest")
wait_for, run, world = bindings.wait_for, bindings.run, bindings.world


class Desktop:
    """An X server without a screen, a session bus, and the bus of the screen readers."""

    def __init__(self):
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "900x800x24", "-nolisten", "tcp", "-noreset"]
        self.server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as lines:
            os.environ["DISPLAY"] = f":{lines.readline().strip()}"
        for name in ("WAYLAND_DISPLAY", "LANGUAGE", "LC_ALL", "LC_MESSAGES"):
            os.environ.pop(name, None)
        os.environ.update(LANG="C.UTF-8", NO_AT_BRIDGE="0")
        bus = subprocess.run(["dbus-daemon", "--session", "--fork", "--print-address=1", "--print-pid=1"],
                             check=True, capture_output=True, text=True).stdout.split()
        os.environ["DBUS_SESSION_BUS_ADDRESS"], self.bus = bus[0], int(bus[1])
        # As a screen reader does when it starts.
        run("busctl", "--user", f"--address={bus[0]}", "set-property", "org.a11y.Bus", "/org/a11y/bus",
            "org.a11y.Status", "IsEnabled", "b", "true")

    def stop(self):
        os.kill(self.bus, 15)
        self.server.terminate()
        self.server.wait()


@pytest.fixture(scope="session")
def desktop():
    desktop = Desktop()
    yield desktop
    desktop.stop()


class Shown:
    """A window that a test uses as a person does: by keys, the pointer and the screen reader's
    tree."""

    def __init__(self, pid, process=None):
        self.pid, self.process = pid, process

    def id(self):
        """Returns the id of the window, as soon as it is visible."""
        def find():
            found = subprocess.run(["xdotool", "search", "--onlyvisible", "--pid", str(self.pid)],
                                   capture_output=True, text=True).stdout.split()
            return found[0] if found else None
        return wait_for("the window", find)

    def activate(self):
        """Gives the window the keyboard, as a window manager does."""
        run("xdotool", "windowfocus", self.id())
        wait_for("a part with the focus", self.focused)

    def focused(self):
        """Returns the name of the part with the focus."""
        import pyatspi
        nodes = self.nodes()
        return next((node.name for node in nodes if node.getState().contains(pyatspi.STATE_FOCUSED)), None)

    def keys(self, *keys):
        """Presses keys."""
        run("xdotool", "key", "--delay", "40", *keys)

    def click(self, node):
        """Clicks the centre of a node when it has come to rest.

        A new page changes the size of the window, which moves its nodes.
        """
        last = None

        def at_rest():
            nonlocal last
            before, last = last, self.place(node)
            run("xdotool", "getwindowgeometry", self.id())
            return last if before == last else None
        place = wait_for("a node at rest", at_rest)
        left, top, width, height = place
        run("xdotool", "mousemove", left + width // 2, top + height // 2, "click", "1")

    @staticmethod
    def place(node):
        """Returns left, top, width and height of a node on the screen."""
        place = node.queryComponent().getExtents(0)
        return place.x, place.y, place.width, place.height

    def application(self):
        """Returns the accessible application of the window's process."""
        import pyatspi

        def find():
            for application in pyatspi.Registry.getDesktop(0):
                if application is not None and application.get_process_id() == self.pid:
                    return application
            return None
        return wait_for("the window on the bus of the screen readers", find)

    def nodes(self):
        """Returns all nodes of the window, each parent before its children."""
        def walk(node):
            node.clear_cache()
            yield node
            for index in range(node.childCount):
                child = node.getChildAtIndex(index)
                if child is not None:
                    yield from walk(child)
        return list(walk(self.application()))[1:]

    def tree(self):
        """Returns role and name of each node."""
        def look():
            try:
                return [(node.getRoleName(), node.name) for node in self.nodes()]
            except Exception:  # A node may vanish while it is read.
                return None
        return wait_for("a whole tree", look)

    def find(self, role, name):
        """Waits for a node."""
        def look():
            try:
                return next((node for node in self.nodes() if (node.getRoleName(), node.name) == (role, name)), None)
            except Exception:  # A node may vanish while it is read.
                return None
        return wait_for(f"{role} {name!r}", look)

    def press(self, name):
        """Presses a button as a screen reader does."""
        assert self.find("push button", name).queryAction().doAction(0)

    def picture(self, path):
        """Saves what the window shows."""
        run("import", "-window", self.id(), "-depth", "8", path)

    def end(self):
        """Waits for the end. Returns exit code and JSON line."""
        output, _ = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, json.loads(output)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Screen:
    """Opens windows, and closes those that a test has left open."""

    def __init__(self, folder):
        self.folder, self.windows = folder, []

    def open(self, *arguments, **environment):
        process = subprocess.Popen(list(map(str, [WINDOW, *arguments])), stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, **environment})
        self.windows.append(Shown(process.pid, process))
        return self.windows[-1]

    def follow(self, program):
        """Returns the window that another program opens."""
        def find():
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if (folder / "exe").resolve() == program:
                        return int(folder.name)
                except OSError:  # The process has ended.
                    pass
            return None
        return Shown(wait_for("the window's process", find))

    def scripted(self, *arguments, answers=()):
        """Opens a window whose session follows a script, see scripted_session.py."""
        script = self.folder / f"script-{len(self.windows)}.json"
        script.write_text(json.dumps(list(answers)))
        log = self.folder / f"requests-{len(self.windows)}"
        program = HERE / "scripted_session.py"
        shown = self.open("--root", "/nowhere", "--patcher", program, "--name", "Greeter", *arguments,
                          SCRIPT=str(script), REQUESTS=str(log))
        shown.requests = lambda: [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return shown


@pytest.fixture
def screen(desktop, tmp_path):
    screen = Screen(tmp_path)
    yield screen
    for window in screen.windows:
        window.stop()
