"""Folders of the user, which a service or a container may not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memtrace._cli.exit_status import CommandError, ExitStatus


def folder_of_user(find: Callable[[], Path], *, instead: str) -> Path:
    """The folder that `find` returns. Raises `CommandError` if the user has no home directory.

    Args:
        find: Looks the folder up.
        instead: What names another place on the command line or in the environment.
    """
    try:
        folder = find()
    except RuntimeError:  # of pathlib and platformdirs
        folder = Path()
    if not folder.is_absolute():  # older releases of platformdirs return ~/.config then
        raise CommandError(f"no home directory: set HOME, or use {instead}", ExitStatus.USAGE)
    return folder
