"""Files of a new package: all of them or none, and nothing that is there is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath

from memtrace._cli.exit_status import CommandError, ExitStatus


def write_files(target: Path, files: Mapping[PurePosixPath, bytes]) -> None:
    """Write `files` into the folder `target`, which is made where it is missing, with those around it.

    Raises `CommandError` where a link has the folder's name, where a file or folder of that name is in it, and where the
    system refuses; what was made is removed then.
    """
    try:
        _check_is_free(target, sorted({path.parts[0] for path in files}))
        _write(target, files)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise CommandError(f"{error.filename or target} cannot be written: {problem}", ExitStatus.FAILED) from None


def _write(target: Path, files: Mapping[PurePosixPath, bytes]) -> None:
    missing = {folder for folder in (target, *target.parents) if not folder.exists()}
    inner = {target / folder for path in files for folder in path.parents} - {target}
    with ExitStack() as undo:
        for folder in sorted(missing | inner):
            folder.mkdir()
            undo.callback(_remove_folder, folder)
        for path, content in files.items():
            with (target / path).open("xb") as stream:  # exclusive: a link is not followed either
                undo.callback((target / path).unlink)
                stream.write(content)
        undo.pop_all()


def _check_is_free(target: Path, names: list[str]) -> None:
    if target.is_symlink():
        raise CommandError(f"{target} is a link: name the folder that it leads to", ExitStatus.USAGE)
    present = [name for name in names if os.path.lexists(target / name)]
    if present:
        raise CommandError(
            f"{target} has {', '.join(present)} already, and nothing is replaced: name another folder with --directory",
            ExitStatus.USAGE,
        )


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):  # somebody else has put something into it
        folder.rmdir()
