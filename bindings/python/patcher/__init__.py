"""A software updater.

    with Patcher.for_program("app", keys=[KEY]) as app:
        run_the_program()
        app.confirm()          # this version works; without this call the old one comes back
        app.update()           # downloads a newer release, and restarts as it

`Patcher` needs no other configuration in a plain interpreter, in a virtual environment, and in
programs made by PyInstaller. An error never has to end the program: catch `PatcherError`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from . import _native
from ._native import (
    BusyError,
    CallerError,
    CancelledError,
    CancelToken,
    MachineError,
    NetworkError,
    PatcherError,
    RefusedError,
)

__all__ = [
    "BusyError",
    "CallerError",
    "CancelToken",
    "CancelledError",
    "Check",
    "MachineError",
    "NetworkError",
    "Patcher",
    "PatcherError",
    "RefusedError",
    "Staged",
    "Watcher",
]

#: An object of docs/reference/json.schema.json.
Object = dict[str, Any]
#: Called in the caller's thread with a progress event, at most 20 times in a second.
OnProgress = Callable[[Object], None]


def _program() -> Path:
    """The file of this program: the frozen program, or the script."""
    if getattr(sys, "frozen", False):
        return Path(sys.executable)
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(main or sys.argv[0] or sys.executable).absolute()


def _command() -> list[str]:
    """The command that starts this program again."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


def _helper() -> str | None:
    """The helper of this package, if the package has one."""
    helper = Path(__file__).with_name("patcher-helper.exe" if os.name == "nt" else "patcher-helper")
    return str(helper) if helper.is_file() else None


class Check:
    """The result of a check: updates, and newer releases that are not offered now."""

    def __init__(self, native: _native.Updates) -> None:
        self._native = native
        found = json.loads(native.json())
        self.updates: list[Object] = found["updates"]
        self.deferred: list[Object] = found["deferred"]

    def __bool__(self) -> bool:
        return bool(self.updates)


class Staged:
    """Updates that are completely downloaded. One swap installs all of them or none."""

    def __init__(self, native: _native.Staged) -> None:
        self._native = native
        self.updates: list[Object] = json.loads(native.json())

    def restart(self) -> None:
        """Ends this program by `SystemExit`; the helper swaps, and starts the new version.

        In a terminal on Unix, and in the main process of a systemd service, the new version takes
        the place of this process, without `SystemExit`.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        self._native.hand_over()
        raise SystemExit(0)

    def apply_on_exit(self) -> None:
        """Lets the helper swap when this program has ended."""
        self._native.apply_on_exit()

    def apply(self) -> Object:
        """Swaps now, for components that this program does not run from."""
        applied: Object = json.loads(self._native.apply())
        return applied


class Watcher:
    """A thread that checks periodically. It stops with `stop`, or when it is deleted."""

    def __init__(self, native: _native.Watcher) -> None:
        self._native = native

    def check_now(self) -> None:
        """Lets the watcher check at once."""
        self._native.check_now()

    def stop(self) -> None:
        """Stops the watcher, and waits for its thread."""
        self._native.stop()


class Patcher:
    """One install root with its trusted keys. Any thread may use it."""

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        keys: Sequence[str],
        component: str | None = None,
        program: str | os.PathLike[str] | None = None,
        command: Sequence[str] | None = None,
        helper: str | os.PathLike[str] | None = None,
        components: Mapping[str, str | os.PathLike[str]] | None = None,
        headers: Iterable[tuple[str, str, str]] = (),
        **settings: Any,
    ) -> None:
        """Makes a handle, and checks all values. It does not touch the disk.

        `settings` are those of `Config` in Rust: channel, site, state_dir, threshold, probation,
        check_timeout, stall_timeout, rate_limit, proxy, no_proxy, user_agent, languages,
        root_certificates.
        """
        chosen = helper or _helper()
        paths = {name: str(value) for name, value in settings.items() if isinstance(value, os.PathLike)}
        given: dict[str, Any] = settings | paths
        self._native = _native.Handle(
            keys=list(keys),
            program=str(program or _program()),
            command=list(command or _command()),
            root=None if root is None else str(root),
            component=component,
            helper=None if chosen is None else str(chosen),
            components=[(name, str(folder)) for name, folder in (components or {}).items()],
            headers=list(headers),
            **given,
        )
        #: The event since the last start; None before `start`.
        self.started: Object | None = None

    @classmethod
    def for_program(cls, component: str, *, keys: Sequence[str], **settings: Any) -> Patcher:
        """Makes a handle for the installation that this program is part of."""
        return cls(None, keys=keys, component=component, **settings)

    def __enter__(self) -> Patcher:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        return False

    def start(self) -> Object:
        """Finishes what an earlier run began, and returns what has happened.

        If another version must take over, it ends this program.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        started: Object = json.loads(self._native.start())
        self.started = started
        if started["started"] == "handed-over":
            raise SystemExit(0)
        return started

    def confirm(self) -> bool:
        """Confirms that this version works. Returns whether it was on probation."""
        return self._native.confirm()

    def check(self, *components: str, cancel: CancelToken | None = None) -> Check:
        """Looks for newer releases, by default of all components."""
        return Check(self._native.check(list(components), cancel))

    def install(self, component: str, source: str) -> Check:
        """Finds the release of a component that is not installed."""
        return Check(self._native.install(component, source))

    def repair(self, component: str) -> Check:
        """Finds the missing and damaged files of a component."""
        return Check(self._native.repair(component))

    def unfinished(self) -> Check:
        """Returns the updates whose download was interrupted, without asking a server."""
        return Check(self._native.unfinished())

    def download(
        self, found: Check, on_progress: OnProgress | None = None, *, cancel: CancelToken | None = None
    ) -> Staged:
        """Downloads, verifies and stages updates; continues an interrupted download."""
        told = None if on_progress is None else (lambda text: on_progress(json.loads(text)))
        return Staged(self._native.download(found._native, told, cancel))

    def staged(self) -> Staged | None:
        """Returns the updates that an earlier run has downloaded."""
        native = self._native.staged()
        return None if native is None else Staged(native)

    def update(self, on_progress: OnProgress | None = None) -> Check:
        """Checks, downloads and restarts as the new version; returns if there is none."""
        found = self.check()
        if found:
            self.download(found, on_progress).restart()
        return found

    def rollback(self) -> None:
        """Ends this program; the helper returns to the version before."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._native.roll_back()
        raise SystemExit(0)

    def watch(
        self,
        on_event: Callable[[Object], None],
        *,
        mode: Literal["notify", "download", "apply_on_exit"] = "download",
        interval: float = 4 * 60 * 60,
        first_within: float = 60,
    ) -> Watcher:
        """Starts a thread that checks periodically, and calls `on_event` in it."""
        return Watcher(self._native.watch(lambda text: on_event(json.loads(text)), mode, interval, first_within))

    def pause(self) -> None:
        """Pauses downloads, also those of other processes."""
        self._native.pause()

    def resume(self) -> None:
        """Allows downloads again."""
        self._native.resume()

    def allow_adoption_count(self, allowed: bool) -> None:
        """Records whether the user agrees to be counted once a week; ask the user first."""
        self._native.allow_adoption_count(allowed)

    def skip(self, component: str, version: str) -> None:
        """Skips a version of a component."""
        self._native.skip(component, version)

    def remove(self, component: str) -> list[str]:
        """Removes a component. Returns the files that the user has changed, which stay."""
        return self._native.remove(component)

    def verify(self, component: str) -> list[Object]:
        """Returns the damaged files of a component."""
        damaged: list[Object] = json.loads(self._native.verify(component))
        return damaged

    def status(self) -> Object:
        """Returns what is installed, staged and in progress."""
        status: Object = json.loads(self._native.status())
        return status

    def history(self) -> list[Object]:
        """Returns past updates, the newest first."""
        history: list[Object] = json.loads(self._native.history())
        return history
