"""Sessions and the text of their context."""

from __future__ import annotations

import re

import pytest

from memtrace_transports.memory import ManualClock
from tests.fake.caller import Caller


@pytest.fixture
def agent(api: Caller) -> str:
    return str(api.post("/agents", {"name": "bob"}).json["id"])


def test_a_session_begins_active(api: Caller, agent: str) -> None:
    answer = api.post("/sessions", {"agent_id": agent, "metadata": {"b": 2**53 + 1, "a": None}})
    assert answer.status == 201
    assert list(answer.json) == ["id", "org_id", "agent_id", "status", "metadata", "created_at", "updated_at"]
    assert re.fullmatch("sess_[0-9a-f]{24}", answer.json["id"])
    assert '"metadata":{"a":null,"b":9007199254740992}' in answer.text
    assert answer.json["status"] == "active"
    assert api.get(f"/sessions/{answer.json['id']}").json == answer.json
    assert re.fullmatch(r"2026-01-01T00:00:00\.\d{7,9}Z", answer.json["created_at"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "agent_id is required"),
        ({"agent_id": ""}, "agent_id is required"),
        ({"agent_id": "bob"}, "failed to create session: FOREIGN KEY constraint failed"),
        ({"agent_id": "a b"}, "failed to create session: FOREIGN KEY constraint failed"),
    ],
)
def test_a_session_needs_a_registered_agents_id(api: Caller, agent: str, body: object, error: str) -> None:
    answer = api.post("/sessions", body)
    assert (answer.status, answer.error) == (400, error)


def test_another_organisations_agent_does_not_exist(api: Caller, late: Caller, agent: str) -> None:
    assert late.post("/sessions", {"agent_id": agent}).status == 400
    session = api.post("/sessions", {"agent_id": agent}).json["id"]
    assert late.get(f"/sessions/{session}").status == 404
    assert late.get(f"/agents/{agent}").status == 404


def test_an_unknown_session_is_404_to_read_and_400_to_change(api: Caller) -> None:
    for answer, status in ((api.get("/sessions/!"), 404), (api.put("/sessions/!", {}), 400)):
        assert (answer.status, answer.error) == (status, "session not found")


def test_closing_sets_its_time_again_each_time_and_reopening_keeps_it(
    api: Caller, agent: str, clock: ManualClock
) -> None:
    path = f"/sessions/{api.post('/sessions', {'agent_id': agent}).json['id']}"
    times = []
    for status in ("closed", "closed", "active"):
        clock.advance(1)
        session = api.put(path, {"status": status}).json
        times.append((session["closed_at"][:19], session["updated_at"][:19]))
    assert times == [
        ("2026-01-01T00:00:01", "2026-01-01T00:00:01"),
        ("2026-01-01T00:00:02", "2026-01-01T00:00:02"),
        ("2026-01-01T00:00:02", "2026-01-01T00:00:03"),
    ]
    assert api.put(path, {"status": "anything at all"}).json["status"] == "anything at all"


def test_what_an_update_leaves_out_stays_and_an_empty_object_clears(api: Caller, agent: str) -> None:
    path = f"/sessions/{api.post('/sessions', {'agent_id': agent, 'metadata': {'a': 1, 'b': 2}}).json['id']}"
    assert api.put(path, {"metadata": {"b": 3}}).json["metadata"] == {"b": 3}
    before = api.get(path).json
    after = api.put(path, {"status": "", "metadata": None, "agent_id": "x"}).json
    assert after == before | {"updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert "metadata" not in api.put(path, {"metadata": {}}).json


def test_the_list_has_the_newest_first(api: Caller, agent: str) -> None:
    other = api.post("/agents", {"name": "other"}).json["id"]
    ids = [api.post("/sessions", {"agent_id": owner}).json["id"] for owner in (agent, other, agent)]
    listed = lambda query: [s["id"] for s in api.get(f"/sessions{query}").json["sessions"]]  # noqa: E731 - said often
    assert listed("?limit=1&status=x&agent_id=") == ids[::-1]
    assert listed(f"?agent_id={agent}") == [ids[2], ids[0]]
    assert listed("?agent_id=bob") == []
    assert api.get("/sessions?agent_id=!").json == {"sessions": [], "count": 0}


# context


def context(api: Caller, body: object = None, session: str = "s1") -> tuple[str, int]:
    answer = api.post(f"/sessions/{session}/context", body)
    assert (answer.status, list(answer.json)) == (200, ["session_id", "context", "memory_count"])
    return answer.json["context"], answer.json["memory_count"]


def seeded(api: Caller, *rows: tuple[str, str, str]) -> None:
    """Rows of memory type, event type and content, the first the newest, a minute apart."""
    api.fake.seed(
        api.org,
        [
            {
                "agent_id": "a",
                "session_id": "s1",
                "age_s": 60 * n,
                "memory_type": kind,
                "event_type": event,
                "content": text,
            }
            for n, (kind, event, text) in enumerate(rows, 1)
        ],
    )


def test_groups_stand_in_the_order_of_the_server(api: Caller) -> None:
    seeded(
        api,
        ("entity", "error", "e1"),
        ("session", "error", "s1"),
        ("session", "general", "s2"),
        ("decision", "error", "d1"),
        ("episodic", "error", "a1"),
        ("episodic", "general", "a2"),
    )
    text, count = context(api)
    assert count == 6
    assert text == (
        "## Session Context (s1)\n\n"
        "### Recent Actions (2)\n"
        "- [2025-12-31T23:54:59.999999Z] error: a1\n"
        "- [2025-12-31T23:53:59.999999Z] general: a2\n\n"
        "### Decisions Made (1)\n"
        "- [2025-12-31T23:55:59.999999Z] error: d1\n\n"
        "### Errors (1)\n"
        "- [2025-12-31T23:57:59.999999Z] error: s1\n\n"
        "### Other (2)\n"
        "- [2025-12-31T23:58:59.999999Z] error: e1\n"
        "- [2025-12-31T23:56:59.999999Z] general: s2\n"
    )


def test_a_blank_line_follows_the_last_group_too(api: Caller) -> None:
    seeded(api, ("decision", "x", "d"))
    assert context(api)[0].endswith("x: d\n\n")


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 80 + "..."),
        ("é" * 40, "é" * 40),
        ("x" + "é" * 40, "x" + "é" * 39 + "\ufffd..."),
        ("xxx" + "🎉" * 20, "xxx" + "🎉" * 19 + "\ufffd..."),
        ("two\nlines", "two\nlines"),
    ],
)
def test_content_is_cut_at_80_bytes(api: Caller, content: str, shown: str) -> None:
    seeded(api, ("episodic", "x", content))
    assert f"x: {shown}\n" in context(api)[0]


def test_a_hundred_rows_at_most_and_the_newest_of_them(api: Caller) -> None:
    seeded(api, *(("episodic", "x", f"row {n}") for n in range(120)))
    text, count = context(api, {"max_tokens": 1})
    assert (count, "row 99\n" in text, "row 100\n" in text) == (100, True, False)


@pytest.mark.parametrize(
    ("since", "count"),
    [("1h", 1), ("2d", 3), ("8760h", 4), *((x, 2) for x in (None, "", "24h", "2020-01-01", "abc", "366d", "30s"))],
)
def test_a_since_that_is_not_relative_silently_becomes_24_hours(api: Caller, since: str | None, count: int) -> None:
    ages = (1_800, 5_400, 108_000, 604_800)
    api.fake.seed(api.org, [{"agent_id": "a", "session_id": "s1", "content": f"{x}", "age_s": x} for x in ages])
    assert context(api, {"since": since})[1] == count


@pytest.mark.parametrize(
    ("types", "count"), [([], 2), (["decision"], 1), (["nope"], 0), ([""], 0), (["", "decision"], 1), (None, 2)]
)
def test_included_types(api: Caller, types: list[str] | None, count: int) -> None:
    seeded(api, ("decision", "x", "d"), ("entity", "x", "e"))
    assert context(api, {"include_types": types})[1] == count


def test_bad_patterns_are_a_500_and_the_session_comes_first(api: Caller) -> None:
    answer = api.post("/sessions/s1/context", {"include_types": ["ok", "a-b"]})
    wanted = "invalid include_type 'a-b': invalid type format: must be alphanumeric with underscores, max 64 chars"
    assert (answer.status, answer.error) == (500, wanted)
    answer = api.post("/sessions/!/context", {"include_types": ["a-b"]})
    assert answer.status == 500
    assert answer.error.startswith("invalid session_id: invalid ID format")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (None, None),
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"include_types": ["decision"]}', "text/plain"),
        (b'{"include_types": ["decision"], "max_tokens": "x"}', "application/json"),
        (b'{"include_types": ["decision"], "since": 5}', "application/json"),
    ],
)
def test_an_unreadable_body_means_the_defaults(api: Caller, body: bytes | None, kind: str | None) -> None:
    seeded(api, ("entity", "x", "e"))
    answer = api.raw("POST", "/sessions/s1/context", body, kind)
    assert (answer.status, answer.json["memory_count"]) == (200, 1)


def test_an_unknown_session_has_the_heading_alone(api: Caller) -> None:
    assert context(api, session="unknown") == ("## Session Context (unknown)\n\n", 0)
