"""The Python package: plain scripts, virtual environments and frozen programs update themselves."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT, run, wait_for

PROGRAM = (ROOT / "bindings/python/examples/app.py").read_text()


def script(world, version):
    """Returns the example with the publisher's key, as a version."""
    key = re.sub("-----BEGIN.*END PUBLIC KEY-----", world.key.read_text().strip(), PROGRAM, flags=re.DOTALL)
    assert key != PROGRAM
    return key.replace('VERSION = "1"', f'VERSION = "{version}"')


def frozen(world, version, *options):
    """Makes a program without an interpreter. Returns its files."""
    source = world.folder / f"app-{version}" / "app.py"
    source.parent.mkdir()
    source.write_text(script(world, version))
    folder = world.folder / f"dist-{version}"
    command = [sys.executable, "-m", "PyInstaller", "--log-level=ERROR", "--noconfirm", *options]
    run(*command, "--distpath", folder, "--workpath", source.parent / "work", "--specpath", source.parent, source)
    top = folder / "app" if (folder / "app").is_dir() else folder
    return {str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["script", "onedir", "onefile"])
def test_a_program_updates_and_is_rolled_back(world, kind):
    def files(version):
        if kind == "script":
            return {"app.py": script(world, version)}
        return frozen(world, version, f"--{kind}")

    world.publish("1.0.0", files("1"))
    world.install()
    world.publish("2.0.0", files("2"))
    program = [world.root / "app/app"] if kind != "script" else [sys.executable, world.root / "app/app.py"]

    def start(*arguments):
        return run(*program, *arguments, cwd=world.folder)

    assert start() == "1 first-run\n"
    wait_for("version 2", lambda: "2 updated" in world.output())
    wait_for("its confirmation", lambda: world.swap() is None)
    assert world.version() == "2.0.0"
    world.publish("3.0.0", files("3"))
    assert start("3") == "2 normal\n"
    wait_for("the rollback", lambda: "2 rolled-back" in world.output())
    assert world.version() == "2.0.0" and "it ended with exit code 7" in world.helper_log()
    assert start() == "2 normal\n"


def outdated(world, size=1 << 20):
    """Installs version 1 and publishes version 2 with a file that does not compress."""
    world.publish("1.0.0", {"version": "1"})
    world.install()
    big = world.folder / "big"
    big.write_bytes(os.urandom(size))
    world.publish("2.0.0", {"version": "2", "big": big})
    import patcher

    return patcher, patcher.Patcher(world.root, keys=[world.key.read_text()])


def test_errors_say_who_must_act(world):
    patcher, app = outdated(world)
    with pytest.raises(patcher.CallerError) as caller:
        patcher.Patcher(world.root, keys=[])
    assert (caller.value.code, caller.value.exit, caller.value.retryable) == ("no-key", 2, False)
    with pytest.raises(patcher.MachineError):
        app.verify("other")
    away = patcher.Patcher(world.root, keys=[world.key.read_text()], site="http://127.0.0.1:9/", check_timeout=1.0)
    with pytest.raises(patcher.NetworkError) as network:
        away.check()
    assert network.value.retryable and isinstance(network.value, patcher.PatcherError)


def test_progress_arrives_in_the_callers_thread_and_other_threads_run(world):
    patcher, app = outdated(world)
    app = patcher.Patcher(world.root, keys=[world.key.read_text()], rate_limit=1_000_000)
    turns, events, threads = 0, [], set()
    stop = threading.Event()

    def count():
        nonlocal turns
        while not stop.is_set():
            turns += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    start = time.monotonic()

    def on_progress(event):
        events.append(event)
        threads.add(threading.get_ident())

    staged = app.download(app.check(), on_progress)
    seconds = time.monotonic() - start
    stop.set()
    other.join()
    assert threads == {threading.get_ident()} and turns > 20
    assert 1 <= len(events) <= 20 * seconds + 2 and events[0]["event"] == "progress"
    applied = staged.apply()
    assert applied["applied"] == [{"component": "app", "from": "1.0.0", "to": "2.0.0"}]
    assert app.status()["swap"] == "probation" and app.confirm() and app.verify("app") == []
    assert app.history()[0]["result"] == "confirmed"


def test_a_token_an_exception_and_a_signal_cancel_a_download(world):
    patcher, _ = outdated(world)
    app = patcher.Patcher(world.root, keys=[world.key.read_text()], rate_limit=50_000)
    token = patcher.CancelToken()
    with pytest.raises(patcher.CancelledError):
        app.download(app.check(), lambda event: token.cancel(), cancel=token)

    def fail(event):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        app.download(app.check(), fail)
    # A program that was started in the background may have let it ignore the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), 2))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        app.download(app.check())
    fast = patcher.Patcher(world.root, keys=[world.key.read_text()])
    assert fast.download(fast.unfinished()).updates[0]["to"] == "2.0.0"


def test_a_watcher_calls_back(world):
    patcher, app = outdated(world)
    events, staged = [], threading.Event()

    def on_event(event):
        events.append(event)
        if event["event"] == "staged":
            staged.set()

    watcher = app.watch(on_event, first_within=0)
    assert staged.wait(60)
    watcher.stop()
    assert [event["event"] for event in events[:2]] == ["checking", "update-found"]
    assert app.staged().updates[0]["to"] == "2.0.0"
    app.allow_adoption_count(True)
    assert app.status()["adoption"] is True
    app.skip("app", "2.0.0")
    assert app.check().deferred[0]["why"] == "skipped"


def test_the_types_are_complete():
    assert shutil.which("mypy", path=os.path.dirname(sys.executable))
    package = ROOT / "bindings/python"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--exclude", "__pyinstaller", "patcher"],
        cwd=package, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout
    stubs = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "patcher._native", "--ignore-missing-stub"],
        capture_output=True, text=True,
    )
    assert stubs.returncode == 0, stubs.stdout
