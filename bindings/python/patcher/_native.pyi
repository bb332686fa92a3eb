"""The extension module. Use the package `patcher`, which is over it."""

from collections.abc import Callable, Sequence
from typing import final

class PatcherError(Exception):
    """An error of the updater. None has to end the program."""

    code: str
    """The stable code, as docs/reference/errors.md lists it."""
    exit: int
    """The exit code that the command line has for it."""
    retryable: bool
    """Whether the same call may succeed later."""

class NetworkError(PatcherError):
    """No person has to act: retry later."""

class RefusedError(PatcherError):
    """The publisher has to act, or an attack was stopped."""

class MachineError(PatcherError):
    """The user or the administrator has to act."""

class CallerError(PatcherError):
    """The programmer has to act."""

class BusyError(PatcherError):
    """Another updater works, or another instance runs: retry later."""

class CancelledError(PatcherError):
    """The user has cancelled or paused it."""

@final
class CancelToken:
    """Cancels the calls that it is given to, from any thread."""

    def __new__(cls) -> CancelToken: ...
    def cancel(self) -> None: ...

@final
class Updates:
    def json(self) -> str: ...

@final
class Staged:
    def json(self) -> str: ...
    def hand_over(self) -> None: ...
    def apply_on_exit(self) -> None: ...
    def apply(self) -> str: ...

@final
class Watcher:
    def check_now(self) -> None: ...
    def stop(self) -> None: ...

@final
class Handle:
    def __new__(
        cls,
        *,
        keys: Sequence[str],
        program: str,
        command: Sequence[str],
        root: str | None = None,
        component: str | None = None,
        helper: str | None = None,
        components: Sequence[tuple[str, str]] = ...,
        headers: Sequence[tuple[str, str, str]] = ...,
        channel: str | None = None,
        site: str | None = None,
        state_dir: str | None = None,
        threshold: int | None = None,
        probation: float | None = None,
        check_timeout: float | None = None,
        stall_timeout: float | None = None,
        rate_limit: int | None = None,
        proxy: str | None = None,
        no_proxy: str | None = None,
        user_agent: str | None = None,
        languages: Sequence[str] | None = None,
        root_certificates: Sequence[str] = ...,
    ) -> Handle: ...
    def start(self) -> str: ...
    def confirm(self) -> bool: ...
    def check(self, components: Sequence[str], cancel: CancelToken | None) -> Updates: ...
    def install(self, component: str, source: str) -> Updates: ...
    def repair(self, component: str) -> Updates: ...
    def unfinished(self) -> Updates: ...
    def download(
        self, updates: Updates, on_progress: Callable[[str], None] | None, cancel: CancelToken | None
    ) -> Staged: ...
    def staged(self) -> Staged | None: ...
    def roll_back(self) -> None: ...
    def watch(
        self, on_event: Callable[[str], None], mode: str, interval: float, first_within: float
    ) -> Watcher: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def allow_adoption_count(self, allowed: bool) -> None: ...
    def skip(self, component: str, version: str) -> None: ...
    def remove(self, component: str) -> list[str]: ...
    def verify(self, component: str) -> str: ...
    def status(self) -> str: ...
    def history(self) -> str: ...
