"""The transports whose server is a file."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from memtrace._support.forks import ClosedBeforeForks, PerProcess, close_before_forks
from memtrace._support.sqlite_urls import StoreLocation, location_of_path, location_of_plain_path, location_of_url
from memtrace._support.urls import AddressError
from memtrace._support.worker_threads import WorkerThread
from memtrace.clock import Clock, SystemClock
from memtrace.exceptions import ClientClosedError, ConfigurationError, TransportError
from memtrace.transport import Request, Response
from memtrace_transports.sqlite._errors import UNSTORED
from memtrace_transports.sqlite._file import SEARCH_PATH, OpenStore

_PATIENCE = 60.0
"""Seconds that a fork waits for a call that is under way."""


class _Process(ClosedBeforeForks):
    """What one process has of a store: a lock, and the file once it was opened. No fork comes while the file is open.

    A child that inherits SQLite's own record of the locks of a file takes them for its own.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: OpenStore | None = None
        super().__init__(self.lock, _PATIENCE)
        close_before_forks(self)

    def close(self) -> None:
        """Close the file, with the lock held; the next call opens it."""
        opened, self.opened = self.opened, None
        if opened is not None:
            opened.close()

    def _close_for_fork(self) -> None:
        self.close()


class _ToFile:
    """What both transports do alike. A forked child opens the file for itself."""

    def __init__(self, location: StoreLocation, clock: Clock, *, any_key: bool) -> None:
        self._location = location
        self._clock = clock
        self._any_key = any_key
        self._closed = False
        self._process: PerProcess[_Process] = PerProcess(lambda _: _Process())

    @property
    def search_path(self) -> str:
        """The route of the text index in the file."""
        return SEARCH_PATH

    def answer(self, request: Request, until: float) -> Response:
        """Answer one request in the calling thread.

        Args:
            request: The request.
            until: The monotonic time, in seconds, until which it waits for a locked file.

        Returns:
            The response that the server would have sent.
        """
        with self._turn(until) as process:
            if process.opened is None:
                process.opened = OpenStore(self._location, self._clock, until, any_key=self._any_key)
            return process.opened.answer(request, until)

    @contextmanager
    def _turn(self, until: float) -> Iterator[_Process]:
        process = self._process.get()
        if not process.lock.acquire(timeout=min(max(until - time.monotonic(), 0.0), threading.TIMEOUT_MAX)):
            text = f"the store {self._location.path} was busy with other calls of this client until the timeout; {UNSTORED}"
            raise TransportError(text, cause="timeout", maybe_sent=False)
        try:
            if self._closed:
                raise ClientClosedError
            yield process
        finally:
            process.lock.release()

    def finish(self) -> None:
        """Close the file once the running calls have ended. Later calls raise `ClientClosedError`."""
        process = self._process.get()
        with process.lock:
            self._closed = True
            process.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._location.url()!r})"


def _end_of(request: Request) -> float:
    return math.inf if request.timeout is None else time.monotonic() + request.timeout


def read_location(store: str | os.PathLike[str]) -> StoreLocation:
    """The file that an address names, ``sqlite:///agent.db``, or a plain path. Raises `ConfigurationError`."""
    if not isinstance(store, str):
        return _location_of_object(store)
    try:
        return location_of_url(store) if store.lower().startswith("sqlite:") else location_of_plain_path(store)
    except AddressError as error:
        raise ConfigurationError(
            f"the store is not a valid address: {error}",
            argument="base_url",
            hint="write it like sqlite:///agent.db, or sqlite:////data/agent.db for an absolute path",
        ) from None


def _location_of_object(store: object) -> StoreLocation:
    """The file of a `pathlib.Path`, in which every character is literal."""
    path = os.fspath(store) if isinstance(store, os.PathLike) else store
    if not isinstance(path, str):
        raise ConfigurationError("the store must be a string or a pathlib.Path", argument="base_url")
    try:
        return location_of_path(path)
    except AddressError as error:
        raise ConfigurationError(f"the store is not a valid path: {error}", argument="base_url") from None


class SqliteTransport(_ToFile):
    """A blocking transport that keeps everything in one file, by the server's rules, without a server.

    Any threads and processes may share the file. The response to a write follows its commit.

    Args:
        store: ``sqlite:///agent.db``, or a path. Add ``?durability=full`` if a power failure must
            not lose the last moments.
        clock: The clock of the memories' times. Default: the system clock.
        any_key: Whether an unknown key creates its own organisation. False accepts issued keys
            only.

    Raises:
        ConfigurationError: `store` is not the URL or path of a file.

    Example:
        >>> from memtrace import Memtrace
        >>> with Memtrace("sqlite:///agent.db") as client:
        ...     memory = client.remember("assistant", "User prefers dark mode")
    """

    def __init__(self, store: str | os.PathLike[str], *, clock: Clock | None = None, any_key: bool = True) -> None:
        super().__init__(read_location(store), clock or SystemClock(), any_key=any_key)

    def send(self, request: Request) -> Response:
        """Answer one request from the store file, by the server's rules.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The response that the server would have sent.

        Raises:
            TransportError: The file is locked for longer than `request.timeout`, or its disk
                failed.
            ConfigurationError: The path cannot hold a store.
        """
        return self.answer(request, _end_of(request))

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self.finish()


class AsyncSqliteTransport(_ToFile):
    """An async transport that keeps everything in one file, by the server's rules, without a server.

    A worker thread runs the calls in their order. Any threads and processes may share the file.

    Args:
        store: ``sqlite:///agent.db``, or a path. Add ``?durability=full`` if a power failure must
            not lose the last moments.
        clock: The clock of the memories' times. Default: the system clock.
        any_key: Whether an unknown key creates its own organisation. False accepts issued keys
            only.

    Raises:
        ConfigurationError: `store` is not the URL or path of a file.
    """

    def __init__(self, store: str | os.PathLike[str], *, clock: Clock | None = None, any_key: bool = True) -> None:
        super().__init__(read_location(store), clock or SystemClock(), any_key=any_key)
        self._worker: PerProcess[WorkerThread] = PerProcess(lambda _: WorkerThread("memtrace sqlite"))

    async def send(self, request: Request) -> Response:
        """Answer one request from the store file, by the server's rules, in a worker thread.

        A call that is cancelled before its turn stores nothing. In its turn it completes.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The response that the server would have sent.

        Raises:
            TransportError: The file is locked for longer than `request.timeout`, or its disk
                failed.
            ConfigurationError: The path cannot hold a store.
            ClientClosedError: The transport is closed.
        """
        if self._closed:
            raise ClientClosedError
        return await self._worker.get().run(partial(self.answer, request, _end_of(request)))

    async def close(self) -> None:
        """Close the file after the running calls. A second call does nothing."""
        if not self._closed:
            worker = self._worker.get()
            await worker.run(self.finish)
            worker.stop()
