"""The whole story, with a real site, a real program, the real helper, and a person at the
window."""

import os
import shutil
import subprocess
from pathlib import Path

from conftest import PROGRAMS, ROOT, WINDOW, bindings, run, wait_for

EXAMPLE = Path(os.environ.get("EXAMPLE", ROOT / "target/debug/examples/window"))


def publish(world, version, notes):
    """Publishes examples/window.rs with the programs that it needs."""
    build = world.folder / f"build-{version}"
    (build / "bin").mkdir(parents=True)
    programs = {"greeter": EXAMPLE, "patcher": PROGRAMS / "patcher", "patcher-helper": PROGRAMS / "patcher-helper",
                "patcher-window": WINDOW}
    for name, program in programs.items():
        run("strip", program, "-o", build / "bin" / name)
    # As if the publisher had put the key into the source: both keys have the same length.
    greeter, key = build / "bin/greeter", world.key.read_bytes()
    example_key = (ROOT / "examples/release.pub.pem").read_bytes()
    code = greeter.read_bytes()
    assert example_key in code and len(example_key) == len(key)
    greeter.write_bytes(code.replace(example_key, key))
    (build / "version").write_text(version)
    text = world.folder / "notes"
    text.write_text(notes)
    run(PROGRAMS / "manifest-tool", "sign", build, "--site", world.site, "--key", world.folder / "release.key.pem",
        "--component", "app", "--version", version, "--base-url", world.url + "app/", "--notes", f"en={text}",
        "--no-install-object")


def renew_key(world):
    """Gives the publisher a key of the usual size, which the example's key has."""
    key = world.folder / "release.key.pem"
    run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", key)
    run("openssl", "pkey", "-in", key, "-pubout", "-out", world.key)
    key.chmod(0o600)


def test_a_program_opens_the_window_and_becomes_the_new_version(world, screen):
    renew_key(world)
    publish(world, "1.0.0", "# One")
    world.install()
    publish(world, "2.0.0", "# Two\n\n- faster")
    greeter = world.root / "app/bin/greeter"
    child = subprocess.Popen([greeter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        shown = screen.follow(greeter.with_name("patcher-window"))
        shown.find("heading", "Greeter 2.0.0 is available")
        shown.find("list item", "• faster")
        shown.click(shown.find("push button", "Install and restart"))
        shown.find("heading", "Greeter 2.0.0 is ready")
        shown.click(shown.find("push button", "Restart now"))
        assert child.wait(60) == 0
        wait_for("version 2, confirmed", lambda: world.version() == "2.0.0" and world.swap() is None)
    finally:
        child.kill()
        # The helper has started version 2, which waits for its input.
        subprocess.run(["pkill", "--exact", "--full", str(greeter)])


def test_a_person_skips_pauses_and_stays_without_a_server(world, screen):
    world.publish("1.0.0", {"version": "1"})
    world.install()
    big = world.folder / "big"
    big.write_bytes(os.urandom(1 << 20))
    world.publish("2.0.0", {"version": "2", "big": big})
    options = ["--root", world.root, "--key", world.key, "--patcher", PROGRAMS / "patcher"]

    slow = screen.open(*options, "--rate-limit", "100K")
    slow.press("Install and restart")
    slow.find("heading", "Downloading app 2.0.0…")
    slow.press("Pause")
    slow.find("heading", "The download is paused")
    staged = sum(path.stat().st_size for path in (world.root / ".patcher").rglob("*") if path.is_file())
    assert staged < 1 << 20
    slow.press("Cancel")
    assert slow.end() == (0, {"result": "later"})

    shown = screen.open(*options)
    shown.press("Install and restart")
    shown.press("When I quit")
    assert shown.end() == (13, {"result": "at-exit", "updates": [{"component": "app", "version": "2.0.0"}]})
    assert world.patcher("status")["staged"] == [{"component": "app", "version": "2.0.0"}]

    world.publish("3.0.0", {"version": "3"})
    shown = screen.open(*options)
    shown.press("Skip this version")
    assert shown.end() == (0, {"result": "skipped"})
    shown = screen.open(*options, "--if-available")
    assert shown.end() == (0, {"result": "up-to-date"})

    shown = screen.open(*options, "--site", "http://127.0.0.1:9/", "--retries", "0")
    shown.find("heading", "The update server cannot be reached.")
    shown.press("Close")
    code, result = shown.end()
    assert (code, result["error"]["code"]) == (20, "unreachable")


def test_a_rollback_is_told_with_its_log(world, screen):
    world.publish("1.0.0", {"version": "1"})
    world.install()
    world.publish("2.0.0", {"version": "2"})
    world.patcher("update")
    assert "applied" in world.patcher("rollback")
    options = ["--root", world.root, "--key", world.key, "--patcher", PROGRAMS / "patcher", "--name", "Greeter"]
    shown = screen.open("--after-rollback", *options)
    shown.find("heading", "Greeter 2.0.0 did not work")
    shown.find("label", f"Log: {world.root}/.patcher/helper.log")
    shown.press("Close")
    assert shown.end() == (0, {"result": "acknowledged"})


def test_a_wrong_call_is_told(screen, tmp_path):
    lonely = tmp_path / "patcher-window"
    shutil.copy(WINDOW, lonely)
    shown = screen.open("--root", tmp_path, "--key", tmp_path / "none", "--patcher", PROGRAMS / "patcher")
    shown.find("push button", "Close")
    shown.press("Close")
    code, result = shown.end()
    assert code == result["error"]["exit"] and code >= 2
    done = subprocess.run([lonely], capture_output=True, text=True)
    assert (done.returncode, "pass --root" in done.stdout) == (2, True)
