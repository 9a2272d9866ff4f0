"""Targets of an export that are no regular files: a pipe, a device, an open descriptor of this process."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
_NUMBERED = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")


def is_standard_output(file: str) -> bool:
    """Whether this name means the standard output.

    >>> is_standard_output("-"), is_standard_output("/dev/fd/1"), is_standard_output("out.jsonl")
    (True, True, False)
    """
    return file == "-" or _descriptor(file) == 1


def is_stream(file: str) -> bool:
    """Whether this name means something that lines are written into as they come, and no file that could be replaced."""
    if _descriptor(file) is not None:
        return True
    try:
        mode = Path(file).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def open_stream(file: str) -> Iterator[IO[str]]:
    """Open the output of this name, compressed if it ends in ``.gz``. Raises `OSError`."""
    descriptor = _descriptor(file)
    # a duplicate: opened by its name, a file would be written from its beginning again
    with open(file, "wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb") as raw:  # noqa: PTH123
        binary = cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="wb")) if file.endswith(".gz") else raw
        with io.TextIOWrapper(binary, encoding="utf-8", newline="\n") as text:
            yield text


def _descriptor(file: str) -> int | None:
    found = _NUMBERED.fullmatch(file)
    return int(found[1]) if found else _STANDARD.get(file)
