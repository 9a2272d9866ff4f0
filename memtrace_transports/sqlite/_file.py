"""An open store: the server's rules over one connection to a file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from random import SystemRandom
from typing import TypeVar

from pydantic import ValidationError

from memtrace._support.sqlite_files import begin, data_version, identity, is_locked
from memtrace._support.sqlite_urls import StoreLocation
from memtrace.clock import Clock
from memtrace.exceptions import InvalidRequestError, TransportError
from memtrace.transport import Headers, IndexAnswer, IndexQuery, Request, Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.authentication import authenticate, first_values
from memtrace_transports._engine.routes.dispatch import answer, finished
from memtrace_transports._engine.routes.matching import match_route
from memtrace_transports._engine.routes.request import error_response
from memtrace_transports._engine.rules.ids import RandomIdentifiers
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports.sqlite._directory import SqliteDirectory
from memtrace_transports.sqlite._errors import store_error, unusable
from memtrace_transports.sqlite._index import TextIndexes
from memtrace_transports.sqlite._opening import check_version, open_store
from memtrace_transports.sqlite._store import Numbers, SqliteStore
from memtrace_transports.sqlite._text_index import mend_text

T = TypeVar("T")

SEARCH_PATH = "/index/search"
"""Where a client of this file asks its index. Over HTTP there is no such path, as on the server."""

SEARCH_OPERATION = "memories.search"


class EmbeddedEngine(Engine):
    """The rules over a file. Unless keys are issued, a key that nobody has makes an organisation when it first writes."""

    def __init__(self, stamps: Stamps, store: SqliteStore, directory: SqliteDirectory, *, any_key: bool) -> None:
        super().__init__(stamps, store, RandomIdentifiers(SystemRandom()), directory=directory)
        self._files = directory
        self._any_key = any_key

    def organisation_of(self, api_key: str) -> OrganisationState | None:
        """Whose key this is. A new key's organisation is stored with its first write, and until then empty."""
        if not self._any_key:
            return self._files.by_issued_key(api_key)
        found = self._files.by_key(api_key)
        if found is not None or self._files.was_revoked(api_key):
            return found
        state = self._files.of_new_key(api_key)
        if self._files.connection.in_transaction:
            self._files.add(state)
        return state


class OpenStore:
    """A store's file while one process has it open. Its owner holds a lock around every call."""

    def __init__(
        self, location: StoreLocation, clock: Clock, until: float, *, any_key: bool, create: bool = True
    ) -> None:
        self.location = location
        self.connection: sqlite3.Connection = open_store(location, until, create=create)
        self._identity = identity(location.path)
        self._data_version = data_version(self.connection)
        stamps = Stamps(clock)
        numbers = Numbers(self.connection)
        self.indexes = TextIndexes(self.connection)
        self.store = SqliteStore(self.connection, numbers, self.indexes)
        self.directory = SqliteDirectory(self.connection, numbers, self.indexes, stamps)
        self.engine = EmbeddedEngine(stamps, self.store, self.directory, any_key=any_key)

    def answer(self, request: Request, until: float) -> Response:
        """What the rules answer, after the commit of what they stored.

        Raises `TransportError` and `ConfigurationError` for what befalls the file, and a `TransportError`, cause ``reset``, for a
        body that is too large, as the server cuts the connection.
        """
        if identity(self.location.path) != self._identity:
            raise unusable(
                self.location.path,
                "was deleted or replaced while this client had it open; nothing of this call was stored",
                "put it back, or make a new client to begin a new one",
            )
        headers = first_values(request.headers)
        if request.operation == SEARCH_OPERATION and request.path == SEARCH_PATH:
            return self._search(request, headers, until)
        return self._answer(request, headers, until)

    def _answer(self, request: Request, headers: Mapping[str, str], until: float) -> Response:
        route_match = match_route(request)
        route = route_match.route
        writes = route is not None and route.writes

        def attempt() -> Response | None:
            if writes:
                begin(self.connection, until)
            self._note_other_writers()
            return answer(self.engine, request, route_match, headers)

        response = self._whole(attempt, until, may_repeat=not writes)
        if writes:
            self._commit()
        if response is None:
            raise TransportError("the server closed the connection", cause="reset", maybe_sent=True)
        return response

    def _search(self, request: Request, headers: Mapping[str, str], until: float) -> Response:
        """Answer a search from the index. It writes only where memories wait to be indexed, with vectors, and to rebuild it."""
        response = self._whole(lambda: self._searched(request, headers, until), until)
        return finished(self.engine, request.method, headers, response)

    def _searched(self, request: Request, headers: Mapping[str, str], until: float) -> Response:
        try:
            self._note_other_writers()
            org_id = authenticate(self.engine, headers).org_id
            asked = IndexQuery.model_validate_json(request.body or b"{}")
            if self.directory.by_id(org_id) is None:  # a key that has not written yet
                return _indexed(IndexAnswer())
            if asked.rebuild:
                mend_text(self.connection, self.indexes, org_id, until)
            if asked.vectors or asked.rebuild or not self.indexes.is_ready(org_id):
                begin(self.connection, until)
                self._note_other_writers()
                self.indexes.of(org_id).take_in()
                answer = self.indexes.answer(org_id, asked)
                self._commit()
                return _indexed(answer)
            return _indexed(self.indexes.answer(org_id, asked))
        except RouteError as error:
            return error_response(error)
        except (ValidationError, InvalidRequestError):
            self._roll_back()
            return error_response(RouteError(400, "invalid search of the index"))

    def _whole(self, attempt: Callable[[], T], until: float, *, may_repeat: bool = True) -> T:
        """The result of an attempt. A failed one is rolled back, and retried if only another process was in its way."""
        while True:
            try:
                return attempt()
            except sqlite3.Error as error:
                self._roll_back()
                if not (may_repeat and is_locked(error)) or time.monotonic() >= until:
                    raise store_error(error, self.location.path) from error
            except BaseException:
                self._roll_back()
                raise

    def _note_other_writers(self) -> None:
        """Forget what is remembered of the file where somebody else has written since. Raises for one of a newer release."""
        version = data_version(self.connection)
        if version != self._data_version:
            self.directory.forget()
            check_version(self.connection, self.location)
            self._data_version = version

    def _commit(self) -> None:
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise store_error(error, self.location.path, maybe_stored="disk I/O" in str(error)) from error

    def _roll_back(self) -> None:
        """Take back what this call did, in the file and in what is remembered of it."""
        if self.connection.in_transaction:
            self.connection.rollback()
        self.directory.forget()

    def close(self) -> None:
        """Close the file. Every write that was acknowledged is in it."""
        self.connection.close()


def _indexed(answer: IndexAnswer) -> Response:
    body = answer.model_dump_json(exclude_unset=True).encode()
    return Response(200, Headers({"content-type": "application/json"}), body)
