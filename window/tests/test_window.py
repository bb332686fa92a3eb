"""The window as a person uses it: keys, clicks, a screen reader, and what is on the screen."""

import json
import os

import pytest
from answers import NOTES_AR, NOTES_JA, failed, found, nothing, progress, rolled_back, staged, update
from conftest import run, wait_for

INSTALL, LATER, SKIP = "Install and restart", "Later", "Skip this version"


def states(screen, *arguments):
    """Opens a window in each state. Yields the name of the state, the window, and its heading."""
    stalled = ["check", []]
    yield "checking", screen.scripted(*arguments, answers=[stalled]), "Looking for updates…"
    yield "available", screen.scripted(*arguments, answers=[found()]), "Greeter 2.1.0 is available"
    yield "up-to-date", screen.scripted(*arguments, answers=[nothing()]), "Greeter is up to date"
    for name, answers, heading in [
        ("downloading", [found(), progress()], "Downloading Greeter 2.1.0…"),
        ("ready", [found(), staged()], "Greeter 2.1.0 is ready"),
        ("failed", [found(), failed("download", "cut-off", 20, "the server closed the connection")],
         "The update server cannot be reached."),
    ]:
        shown = screen.scripted(*arguments, answers=answers)
        shown.press(INSTALL)
        yield name, shown, heading
    shown = screen.scripted(*arguments, answers=[found(), progress()])
    shown.press(INSTALL)
    shown.press("Pause")
    yield "paused", shown, "The download is paused"
    yield "rolled-back", screen.scripted("--after-rollback", *arguments, answers=[rolled_back()]), \
        "Greeter 2.1.0 did not work"


def test_every_node_of_every_state_has_a_name(screen):
    for name, shown, heading in states(screen):
        shown.find("heading", heading)
        tree = shown.tree()
        assert all(text.strip() for _, text in tree), (name, tree)
        assert any(role == "push button" for role, _ in tree), (name, tree)
        shown.stop()


def test_a_screen_reader_gets_headings_lists_and_links(screen):
    shown = screen.scripted(answers=[found()])
    shown.find("heading", "Greeter 2.1.0 is available")
    tree = shown.tree()
    for node in [
        ("label", "You have version 2.0.0. The download has 1.1 MB."),
        ("document frame", "Release notes"),
        ("heading", "New in 2.1"),
        ("paragraph", "Greeter now greets by name, in eight languages."),
        ("list item", "• Starts twice as fast"),
        ("link", "clock after midnight"),
        ("push button", INSTALL),
        ("push button", LATER),
        ("push button", SKIP),
    ]:
        assert node in tree, (node, tree)


def test_progress_has_a_value_and_a_line(screen):
    shown = screen.scripted(answers=[found(), progress()])
    shown.press(INSTALL)
    shown.find("label", "412 kB of 1.1 MB · 96.0 kB per second · 7 s left")
    assert shown.find("progress bar", "Progress of the download").queryValue().currentValue == 38


def test_keys_alone_reach_everything(screen):
    shown = screen.scripted(answers=[found()])
    shown.find("push button", INSTALL)
    shown.activate()
    assert shown.focused() == INSTALL
    order = [LATER, SKIP, "Release notes", "clock after midnight", INSTALL]
    for keys, names in (("Tab", order), ("shift+Tab", order[-2::-1])):
        for name in names:
            shown.keys(keys)
            wait_for(f"the focus of {name}", lambda: shown.focused() == name)
    shown.keys("space")
    assert shown.end() == (0, {"result": "later"})


@pytest.mark.parametrize("key, result", [("Return", None), ("Escape", {"result": "later"})])
def test_return_installs_and_escape_waits(screen, key, result):
    shown = screen.scripted(answers=[found()])
    shown.find("push button", INSTALL)
    shown.activate()
    shown.keys(key)
    if result:
        assert shown.end() == (0, result)
    else:
        wait_for("the download", lambda: [r["method"] for r in shown.requests()] == ["check", "download"])


def test_clicks_install_pause_resume_and_restart(screen):
    stopped = failed("download", "cancelled", 24, "stopped")
    shown = screen.scripted(answers=[found(), ["download", []], ["cancel", [{"id": 2, "error": stopped[1][0]["error"]}]],
                                     staged()])
    shown.click(shown.find("push button", INSTALL))
    shown.click(shown.find("push button", "Pause"))
    shown.click(shown.find("push button", "Resume"))
    shown.click(shown.find("push button", "Restart now"))
    assert shown.end() == (12, {"result": "restart", "updates": [{"component": "greeter", "version": "2.1.0"}]})
    assert [r["method"] for r in shown.requests()] == ["check", "download", "cancel", "download"]


def test_at_exit_and_skip_are_results(screen):
    shown = screen.scripted(answers=[found(), staged()])
    shown.press(INSTALL)
    shown.press("When I quit")
    assert shown.end()[0] == 13
    shown = screen.scripted(answers=[found(), ["skip", [{"id": "ID", "result": {}}]]])
    shown.press(SKIP)
    assert shown.end() == (0, {"result": "skipped"})
    assert shown.requests()[1]["params"] == {"component": "greeter", "version": "2.1.0"}


def test_an_error_is_the_result_of_the_window(screen):
    shown = screen.scripted(answers=[failed("check", "unreachable", 20, "no route to the server"), nothing()])
    shown.find("label", "Details: no route to the server")
    shown.press("Try again")
    shown.find("heading", "Greeter is up to date")
    shown = screen.scripted(answers=[failed("check", "no-space", 22, "the disk is full")])
    shown.press("Close")
    code, result = shown.end()
    assert (code, result["error"]["code"]) == (22, "no-space")


def test_a_link_opens_the_browser(screen, tmp_path):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    os.environ["BROWSER"] = str(browser)
    try:
        shown = screen.scripted(answers=[found()])
    finally:
        del os.environ["BROWSER"]
    shown.click(shown.find("link", "clock after midnight"))
    wait_for("the browser", opened.exists)
    assert opened.read_text() == "https://example.com/issues/7"


def test_notes_scroll_by_keys(screen):
    shown = screen.scripted(answers=[found(update([f"- line {n}" for n in range(60)]))])
    last = shown.find("list item", "• line 59")
    height = shown.find("document frame", "Release notes").queryComponent().getExtents(0).height
    below = last.queryComponent().getExtents(0).y
    shown.activate()
    shown.keys("End")
    wait_for("the last line", lambda: last.queryComponent().getExtents(0).y < below - height)


def test_no_window_appears_without_an_update(screen):
    shown = screen.scripted("--if-available", answers=[nothing()])
    assert shown.end() == (0, {"result": "up-to-date"})
    shown = screen.scripted("--if-available", answers=[found()])
    shown.press(LATER)
    assert shown.end() == (0, {"result": "later"})


def test_an_app_replaces_texts(screen, tmp_path):
    texts = tmp_path / "texts.json"
    texts.write_text(json.dumps({"install": "Update now", "available": "New: {version}"}))
    shown = screen.scripted("--texts", texts, answers=[found()])
    shown.find("push button", "Update now")
    shown.find("heading", "New: 2.1.0")
    texts.write_text('{"instal": "x"}')
    code, result = screen.scripted("--texts", texts).end()
    assert (code, "`instal`" in result["error"]["message"]) == (2, True)


@pytest.mark.parametrize("language, button", [
    ("de", "Später"), ("fr", "Plus tard"), ("es", "Más tarde"), ("pt", "Mais tarde"), ("ja", "後で"), ("zh", "稍后"),
    ("ar", "لاحقًا"),
])
def test_each_language_is_shown(screen, language, button):
    shown = screen.scripted("--lang", language, answers=[found()])
    later = shown.find("push button", button).queryComponent().getExtents(0)
    notes = [node for node in shown.nodes() if node.getRoleName() == "document frame"][0].queryComponent().getExtents(0)
    # The buttons are at the end of the line: on the left in Arabic.
    is_left = later.x + later.width / 2 < notes.x + notes.width / 2
    assert is_left == (language == "ar")


def test_the_text_grows_with_the_scale_of_the_screen(screen):
    def width(scale):
        os.environ["WINIT_X11_SCALE_FACTOR"] = scale
        try:
            shown = screen.scripted(answers=[found()])
        finally:
            del os.environ["WINIT_X11_SCALE_FACTOR"]
        return shown.find("push button", INSTALL).queryComponent().getExtents(0).width

    one, one_and_a_half = width("1"), width("1.5")
    assert 1.4 < one_and_a_half / one < 1.6


def save(shown, path):
    """Saves a picture of a window as soon as all of it is painted, and closes the window."""
    def is_painted():
        shown.picture(path)
        corner = run("convert", path, "-gravity", "SouthEast", "-crop", "1x1+2+2", "-format", "%[fx:mean]", "info:")
        colours = run("identify", "-format", "%k", path)
        return float(corner) > 0.05 and int(colours) > 20
    wait_for("a picture", is_painted)
    shown.stop()


def test_the_pictures_of_all_states(screen, tmp_path):
    """Saves the gallery where GALLERY says, and checks that each picture shows something."""
    folder = os.environ.get("GALLERY", tmp_path)
    for theme in ("light", "dark"):
        for name, shown, heading in states(screen, "--theme", theme):
            shown.find("heading", heading)
            save(shown, os.path.join(folder, f"{name}-{theme}.png"))
    for language, notes, heading in (("ar", NOTES_AR, "ما الجديد في 2.1"), ("ja", NOTES_JA, "2.1 の新機能")):
        shown = screen.scripted("--lang", language, "--theme", "light", answers=[found(update(notes))])
        shown.find("heading", heading)
        save(shown, os.path.join(folder, f"available-{language}.png"))
