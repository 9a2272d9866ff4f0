"""JSON lines: one object a line, or an error that names file, line and field, never the content."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, NoReturn, cast

from memtrace.operations._endpoints import MAX_BODY

_MEMORY_BYTES = MAX_BODY + 64 * 1024  # a line also has what no request has: time, organisation
_LONGEST = 6 * _MEMORY_BYTES  # every character of it may be written as \u0041 is
_REST = 64 * 1024
_BLANKS = (b" ", b"\t", b"\r", b"\n")
_DIGITS = 400  # no float of 64 bits has as many before its point


class LineError(Exception):
    """A file of JSON lines cannot be read on; its text names the file and, where they are known, line and field."""

    def __init__(self, file: str, problem: str, *, line: int | None = None, field: str | None = None) -> None:
        self.file = file
        self.problem = problem
        self.line = line
        self.field = field
        place = file
        place += f", line {line}" if line is not None else ""
        place += f', field "{field}"' if field is not None else ""
        super().__init__(f"{place}: {problem}")


def bounded_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a binary stream. Of a line too long for a memory, only as much as makes `parse_line` refuse it."""
    while line := stream.readline(_LONGEST + 1):
        yield line
        if len(line) > _LONGEST:
            while line and not line.endswith(b"\n"):
                line = stream.readline(_REST)


def readable(lines: Iterable[bytes], file: str) -> Iterator[bytes]:
    """The lines of a binary stream; what reading raises names the file."""
    try:
        yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise LineError(file, "is not a complete gzip file, as its name says; it may be cut short") from None
    except OSError as error:
        raise LineError(file, f"cannot be read: {error.strerror}") from error


def parse_line(raw: bytes, file: str, number: int) -> dict[str, Any] | None:
    """The object of one line; None for a blank one.

    Raises `LineError` for what is not UTF-8, not a JSON object, longer than a memory can be, or holds what no server could keep.
    """
    if len(raw) > _LONGEST:
        raise LineError(file, f"has more than {_LONGEST:,} bytes: no memory is as long", line=number)
    if len(raw) > _MEMORY_BYTES and _least_size(raw) > _MEMORY_BYTES:
        raise LineError(
            file,
            f"cannot be stored: the request body has more than the {MAX_BODY} bytes that the server takes",
            line=number,
        )
    text = _decoded(raw, file, number)
    return _parsed(text, file, number) if text.strip() else None


def _least_size(raw: bytes) -> int:
    """The bytes that a request needs at least for what a line says: parsing one that is too long takes many times its size."""
    return len(raw) - 5 * raw.count(b"\\u") - sum(raw.count(blank) for blank in _BLANKS)


def _decoded(raw: bytes, file: str, line: int) -> str:
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise LineError(
            file, f"byte {error.start + 1} of the line is not UTF-8; convert the file to UTF-8", line=line
        ) from None


def _parsed(text: str, file: str, line: int) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
        json.dumps(value, ensure_ascii=False).encode()  # finds half a surrogate pair in any field
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg} at column {error.colno}"
    except UnicodeEncodeError:
        problem = "a string contains half of a surrogate pair, which UTF-8 cannot express"
    except (ValueError, OverflowError):
        problem = "a number is not finite, or too large for a 64-bit float"
    except RecursionError:
        problem = "nested too deeply"
    else:
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
        problem = "not a JSON object; each line is one, written as {...}"
    raise LineError(file, problem, line=line)


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise OverflowError
    return value


def _whole(text: str) -> int:
    if len(text) > _DIGITS:  # for versions of Python that take quadratic time for it
        raise OverflowError
    value = int(text)
    float(value)  # the server keeps numbers as 64-bit floats
    return value
