"""Where PyInstaller finds what it cannot see in the code: modules that are chosen by name, and files of data."""

from __future__ import annotations

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """The folders of hooks; PyInstaller asks for them by the entry point ``hook-dirs``."""
    return [str(Path(__file__).parent)]
