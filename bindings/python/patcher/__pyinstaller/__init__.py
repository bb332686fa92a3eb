"""Tells PyInstaller to add the helper, so that a frozen program needs no configuration."""

from pathlib import Path


def hook_dirs() -> list[str]:
    """Returns the folder of the hooks."""
    return [str(Path(__file__).parent)]
