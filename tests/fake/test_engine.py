"""The server's rules over a store that knows no snapshots, with identifiers that nobody can guess."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from random import SystemRandom

import pytest

from memtrace.clock import SystemClock
from memtrace.transport import Headers, Request, Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.routes.authentication import first_values
from memtrace_transports._engine.routes.dispatch import answer
from memtrace_transports._engine.routes.matching import match_route
from memtrace_transports._engine.rules.ids import RandomIdentifiers, is_id
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports._engine.store.protocol import Store
from memtrace_transports._engine.store.rows import AgentCounts, Row, RowSelection


class ListStore:
    """All that a `Store` has to do, with lists."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Row]] = []

    def extend(self, org_id: str, rows: Iterable[Row]) -> None:
        self.rows += [(org_id, row) for row in rows]

    def _of(self, org_id: str) -> list[Row]:
        return sorted(row for owner, row in self.rows if owner == org_id)

    def holds(self, org_id: str, time: int) -> bool:
        return any(row.time == time for row in self._of(org_id))

    def newest(self, org_id: str) -> int:
        return max((row.time for row in self._of(org_id)), default=0)

    def last_stored(self, org_id: str, dedup_keys: Sequence[str]) -> Mapping[str, int]:
        return {row.dedup_key: row.time for row in self._of(org_id) if row.dedup_key in dedup_keys}

    def select(self, org_id: str, selection: RowSelection) -> list[Row]:
        return [row for row in self._of(org_id) if selection.admits(row)][-selection.limit :][::-1]

    def counts(self, org_id: str, agent_id: str, since: int) -> AgentCounts:
        return AgentCounts(len(self._of(org_id)), 0, 0, {})


@pytest.fixture
def engine() -> Engine:
    store: Store = ListStore()
    return Engine(Stamps(SystemClock()), store, RandomIdentifiers(SystemRandom()))


def sent(engine: Engine, method: str, target: str, key: str = "", body: object = None) -> Response:
    headers = Headers({"x-api-key": key, "content-type": "application/json"})
    request = Request(method, "http://server", target, headers, None if body is None else json.dumps(body).encode())
    response = answer(engine, request, match_route(request), first_values(headers))
    assert response is not None
    return response


def test_the_rules_hold_over_any_store(engine: Engine) -> None:
    key = engine.add_organisation("acme").api_key
    memory = {"agent_id": "bot", "content": "likes tea"}
    assert sent(engine, "POST", "/api/v1/memories", key, memory).status == 201
    assert sent(engine, "POST", "/api/v1/memories", key, memory).status == 409
    found = json.loads(sent(engine, "GET", "/api/v1/memories?agent_id=bot", key).body)
    assert [each["content"] for each in found["memories"]] == ["likes tea"]


@pytest.mark.parametrize(
    ("method", "target", "key", "status"),
    [
        ("GET", "/api/v1/memories", "", 401),
        ("GET", "/api/v1/memories", "mtk_unknown", 401),
        ("GET", "/elsewhere", "", 404),
        ("POST", "/health", "", 405),
        ("GET", "/health", "", 200),
        ("GET", "/ready", "", 503),
    ],
)
def test_keys_and_open_routes_need_no_fake(engine: Engine, method: str, target: str, key: str, status: int) -> None:
    assert sent(engine, method, target, key).status == status


def test_identifiers_that_are_not_seeded_have_the_same_form(engine: Engine) -> None:
    first, second = engine.add_organisation(), engine.add_organisation()
    assert is_id(first.org_id, "org")
    assert first.org_id != second.org_id
    assert len(first.api_key) == len("mtk_") + 44
