"""Checks of every transport on a response: it is the final one, and its body is complete, decompressed and limited."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, Protocol

from memtrace.transport import TransportError

_CHUNK = 64 * 1024
_MOST_CODINGS = 5
_MOST_STREAMS = 10_000  # empty ones take time and never come to the bound
_GZIP = 16 + zlib.MAX_WBITS
_WINDOWS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


def interim_response(status: int, origin: str) -> TransportError:
    """The error of a status below 200: an interim response, or a switch of protocols, which the SDK never asks for."""
    return TransportError(
        f"{origin} did not answer in HTTP: {status} is an interim answer and no final one",
        cause="protocol",
        maybe_sent=True,
    )


def codings_of(encoding: str) -> list[str]:
    """The codings in a Content-Encoding, in the order in which they were applied.

    >>> codings_of("identity, Deflate, gzip")
    ['deflate', 'gzip']
    """
    words = (word.strip().lower() for word in encoding.split(","))
    return [word for word in words if word not in ("", "identity")]


def is_decodable(encoding: str) -> bool:
    """Whether a `BodyReader` undoes this Content-Encoding without a library's help."""
    return all(coding in _WINDOWS for coding in codings_of(encoding))


def unreadable(origin: str, encoding: str, known: Collection[str]) -> TransportError | None:
    """The error of a response that neither the SDK nor a library with the codings `known` decompresses; or None."""
    codings = codings_of(encoding)
    if len(codings) > _MOST_CODINGS:
        return _undecodable(origin, f"it was compressed {len(codings)} times", permanent=True)
    unknown = None if is_decodable(encoding) else next((coding for coding in codings if coding not in known), None)
    if unknown is None:
        return None
    return _undecodable(origin, f"nobody here knows its coding {unknown[:40]!r}", permanent=True)


def _undecodable(
    origin: str, reason: str, cause: Exception | None = None, *, permanent: bool = False
) -> TransportError:
    text = f"the response of {origin} cannot be decompressed: {reason}"
    failure = TransportError(text, cause="protocol", maybe_sent=True, permanent=permanent)
    failure.__cause__ = cause
    return failure


class Decompressor(Protocol):
    """Undoes one coding, little by little, so that a small body that explodes can be stopped."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decompressed `data`, in small pieces. Raises `zlib.error`."""
        ...

    def end(self) -> None:
        """Raise `zlib.error` where more should have come."""
        ...


class BodyReader:
    """A body as it arrives.

    `encoding` is the Content-Encoding that is still to be undone, with `others` for the codings that are not ours. Raises a
    `TransportError` that says what is wrong.
    """

    __slots__ = ("_counts", "_limit", "_origin", "_pieces", "_size", "_stages")

    def __init__(
        self,
        origin: str,
        limit: int,
        encoding: str = "",
        others: Mapping[str, Callable[[], Decompressor]] | None = None,
    ) -> None:
        self._origin = origin
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []
        self._stages: list[Decompressor] = _stages(origin, encoding, others or {}) if encoding else []
        self._counts = [0] * len(self._stages)

    def add(self, data: bytes) -> None:
        """Take what has come."""
        try:
            for piece in self._decoded(data, 0) if self._stages else (data,):
                self._size += len(piece)
                if self._size > self._limit:
                    raise self._too_long()
                self._pieces.append(piece)
        except zlib.error as error:
            failure = _undecodable(self._origin, str(error), error)
        else:
            return
        raise failure  # out here, where it has no context

    def finish(self) -> bytes:
        """The body, when all has come."""
        try:
            for stage in self._stages:
                stage.end()
        except zlib.error as error:
            failure = _undecodable(self._origin, str(error), error)
        else:
            return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        raise failure

    def _decoded(self, data: bytes, place: int) -> Iterator[bytes]:
        """The `data` decompressed from the stage at `place` on, in small pieces."""
        if place == len(self._stages):
            yield data
            return
        for piece in self._stages[place].feed(data):
            self._counts[place] += len(piece)
            if self._counts[place] > self._limit:  # of inner streams too, which may explode and come to nothing
                raise self._too_long()
            yield from self._decoded(piece, place + 1)

    def _too_long(self) -> TransportError:
        return TransportError(
            f"the response of {self._origin} is too long: it has more than {self._limit} bytes",
            cause="protocol",
            maybe_sent=True,
            permanent=True,
            code="response_too_long",
            hint="ask for less, or raise transport_options.max_response_bytes if that can be right",
        )


def _stages(origin: str, encoding: str, others: Mapping[str, Callable[[], Decompressor]]) -> list[Decompressor]:
    refusal = unreadable(origin, encoding, {*others, *_WINDOWS})
    if refusal is not None:
        raise refusal
    undone = reversed(codings_of(encoding))
    return [_Inflater(coding) if coding in _WINDOWS else others[coding]() for coding in undone]


class _Inflater:
    """Undoes gzip, and deflate with zlib's frame around it as without."""

    # The libraries take a cut stream for a whole one: tests/transports/test_upstream.py::test_a_cut_body_passes_for_a_whole_one

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._streams = 0
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        full = False
        while data or full:
            stream = self._stream = self._stream or self._next(data)
            piece = stream.decompress(data, _CHUNK)
            full, data = len(piece) == _CHUNK, stream.unconsumed_tail
            if stream.eof:  # another may follow
                full, data, self._stream = False, stream.unused_data, None
            yield piece

    def _next(self, data: bytes) -> zlib._Decompress:
        self._streams += 1
        if self._streams > _MOST_STREAMS:
            raise zlib.error(f"it has more than {_MOST_STREAMS} streams, one behind the other")
        bare = self._coding == "deflate" and data[0] & 0x8F != 0x08
        return zlib.decompressobj(-zlib.MAX_WBITS if bare else _WINDOWS[self._coding])

    def end(self) -> None:
        if self._stream is not None:
            raise zlib.error(f"its {self._coding} stream ends early")
