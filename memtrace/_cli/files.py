"""Files: written whole or not at all, and used by one process at a time."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file, whole or not at all; who could read the old one can read the new one.

    Raises `OSError`, also for a file that is read-only.
    """
    check_writable(path)
    place = path.resolve()  # a link stays one
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(OSError):
            Path(name).chmod(place.stat().st_mode & 0o777)
        Path(name).replace(place)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def check_writable(path: Path) -> None:
    """Refuse a file that is read-only, which a new file in its place would ignore. Raises `OSError`."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not mode & 0o222 or not os.access(path, os.W_OK):  # the mode counts for root, too
        raise PermissionError(errno.EACCES, "it is read-only", str(path))


def back_up(path: Path) -> Path:
    """Copy a file to a new name beside it, for its owner only since it may have keys, and give that name."""
    place = path.resolve()
    names = (place.with_name(f"{place.name}.bak{number or ''}") for number in itertools.count())
    backup = next(name for name in names if not name.exists())
    with os.fdopen(os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(place.read_bytes())
    return backup


def open_own(path: Path) -> int | None:
    """Make a file that only its owner can use, or open the one that this made before; None where another file has the name.

    A link is never followed, and what others own, can write or have linked is never opened: they choose what is in it.
    """
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)  # Windows, and all others
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    if _is_own(os.fstat(descriptor)):
        return descriptor
    os.close(descriptor)
    return None


def _is_own(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    if not hasattr(os, "geteuid"):  # Windows has neither owners nor modes that say more
        return True
    return status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o600


def lock(descriptor: int) -> bool:
    """Whether no other process holds this open file; held until it is closed. True where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
