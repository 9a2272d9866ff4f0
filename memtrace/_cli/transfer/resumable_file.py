"""An export under way: a file of whole blocks, which a later run goes on from."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, cast

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.files import lock, open_own
from memtrace._cli.recent_rows import RecentMemories

_PIECE = 1 << 16
_OFTEN = 1000
_NAMES = 10
_MICROSECOND = timedelta(microseconds=1)


class PartialFile:
    """The lines that are written so far, and where to go on.

    Lines are added in blocks: where the name of the target ends in ``.gz``, each is a gzip member. What a killed process left
    of its last block is cut off when the file is opened again. One process has it at a time. Where another file has its name,
    a link or one of another user, it gets another name.
    """

    def __init__(self, path: Path, target: Path, *, anew: bool) -> None:
        """Open or make the file, empty where `anew` is true. Raises `CommandError` when another process has it, and `OSError`."""
        self.recent: RecentMemories = RecentMemories()
        #: How many lines it holds.
        self.count: int = 0
        #: Lines that stand before them in the target.
        self.first: Sequence[str] = ()
        self._target = target
        self._compressed = target.name.endswith(".gz")
        self._oldest: datetime | None = None
        self.path, descriptor = _opened(path)
        self._stream = os.fdopen(descriptor, "r+b")
        if not lock(self._stream.fileno()):
            self._stream.close()
            raise CommandError(f"{target} is being exported by another process; wait for it", ExitStatus.FAILED)
        if anew:
            self._stream.truncate(0)
        self._recover()

    @property
    def since(self) -> datetime | None:
        """From where the next run reads on, exclusive: what appeared late is read again. None where nothing is written."""
        if self.recent.since is None or self._oldest is None:
            return None
        return max(self.recent.since, self._oldest - _MICROSECOND)

    def _recover(self) -> None:
        end, forget_at = 0, _OFTEN
        for block_end, block in _members(self._stream) if self._compressed else _lines(self._stream):
            try:
                rows = [(line, _time_of(line)) for line in block.decode().removesuffix("\n").split("\n")]
            except (ValueError, KeyError, TypeError):
                break
            for line, time in rows:
                self._oldest = time if self._oldest is None else min(self._oldest, time)
                self.recent.note(line, time)
            self.count += len(rows)
            end = block_end
            if self.count >= forget_at:
                self.recent.forget_old()
                forget_at = self.count + _OFTEN
        self._stream.seek(end)
        self._stream.truncate()

    def append(self, rows: Sequence[tuple[str, datetime]]) -> None:
        """Add a block of lines."""
        block = "".join(f"{line}\n" for line, _ in rows).encode()
        self._stream.write(gzip.compress(block, mtime=0) if self._compressed else block)
        self._stream.flush()
        self.count += len(rows)

    def finish(self) -> None:
        """Put the file in the place of the target; who could read the old one can read the new one, and nobody else."""
        if self.first:
            self._finish_behind(self.first)
            return
        if self._compressed and not self.count:
            self._stream.write(gzip.compress(b"", mtime=0))
        self._put_in_place(self._stream, self.path)

    def _finish_behind(self, first: Sequence[str]) -> None:
        """Replace this file with `first` and its own content. It is kept until the new file is in place."""
        path, descriptor = _opened(self.path.with_suffix(".whole.part"))
        stream = os.fdopen(descriptor, "r+b")
        try:
            stream.truncate(0)
            with _member(stream) if self._compressed else nullcontext(stream) as lines:
                lines.writelines(f"{line}\n".encode() for line in first)
            self._stream.seek(0)
            shutil.copyfileobj(self._stream, stream)
            self._put_in_place(stream, path)
        except BaseException:
            with suppress(OSError):
                stream.close()
            with suppress(OSError):
                path.unlink()
            raise
        self.discard()

    def _put_in_place(self, stream: IO[bytes], path: Path) -> None:
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        with suppress(OSError):
            path.chmod(self._target.stat().st_mode & 0o777)
        path.replace(self._target)

    def close(self) -> None:
        """Leave the file for a later run."""
        with suppress(OSError):  # of what is still buffered on a full disk
            self._stream.close()

    def discard(self) -> None:
        """Take the file away."""
        self.close()
        with suppress(OSError):
            self.path.unlink()


def _opened(path: Path) -> tuple[Path, int]:
    names = [path, *(path.with_suffix(f".{number}.part") for number in range(2, _NAMES + 1))]
    for name in names:
        descriptor = open_own(name)
        if descriptor is not None:
            return name, descriptor
    raise CommandError(
        f"{path} and {_NAMES - 1} more names for a partial file are taken by files that this export did not make: remove them",
        ExitStatus.FAILED,
    )


def _time_of(line: str) -> datetime:
    return datetime.fromisoformat(str(json.loads(line)["time"]).replace("Z", "+00:00"))


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each whole line, with where it ends."""
    end = 0
    for line in stream:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        yield end, line


def _member(stream: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream, filename="", mode="wb", mtime=0))


def _members(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The content of each whole gzip member, with where it ends."""
    read, rest = 0, b""
    while True:
        member, pieces = zlib.decompressobj(zlib.MAX_WBITS | 16), []
        while not member.eof:
            piece = rest or stream.read(_PIECE)
            read += 0 if rest else len(piece)
            rest = b""
            if not piece:
                return
            try:
                pieces.append(member.decompress(piece))
            except zlib.error:
                return
        rest = member.unused_data
        yield read - len(rest), b"".join(pieces)
