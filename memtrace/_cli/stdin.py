"""Input from outside: text of the standard input, JSON of an option, streams of JSON lines."""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import IO, Any

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.json_lines import LineError, parse_line
from memtrace.operations._endpoints import MAX_BODY


def standard_input() -> IO[bytes]:
    """The standard input; an empty one where the process was started without."""
    return sys.stdin.buffer if sys.stdin is not None else io.BytesIO()


def open_file(file: str) -> IO[bytes]:
    """A file to read, for its caller to close. Raises `LineError`."""
    try:
        return open(file, "rb")  # noqa: PTH123  # the text as it was given
    except OSError as error:
        raise LineError(file, f"cannot be read: {error.strerror}; give a file of JSON lines") from error
    except ValueError:
        raise LineError(file, "cannot be read: no file has such a name") from None


def size_of(file: IO[bytes]) -> int | None:
    """The bytes of an open file; None for a pipe or a device."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def text_of(argument: str) -> str:
    """The argument, or the standard input for ``-``, without the line break at its end. Raises `CommandError`."""
    if argument != "-":
        return argument
    try:
        data = standard_input().read(MAX_BODY + 1)
        if len(data) > MAX_BODY:
            raise CommandError(
                f"the standard input has more than {MAX_BODY:,} bytes, which no request can carry", ExitStatus.USAGE
            )
        return data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise CommandError("the standard input is not UTF-8; convert it", ExitStatus.USAGE) from None
    except OSError as error:
        raise CommandError(f"the standard input cannot be read: {error.strerror}", ExitStatus.USAGE) from None


def json_object(text: str, option: str) -> dict[str, Any]:
    """Parse the JSON object of an option. Raises `CommandError`, which names the option but never quotes its value."""
    try:
        found = parse_line(text.encode("utf-8", "surrogateescape"), option, 1)
    except LineError as error:
        raise CommandError(f"{option}: {error.problem}", ExitStatus.USAGE) from None
    if found is None:
        raise CommandError(f"{option} is empty; it must be a JSON object", ExitStatus.USAGE)
    return found
