"""Lists, searches and look-ups of memories."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from memtrace_transports._engine.rules.filters import PageLimits, read_page
from memtrace_transports._engine.timestamps import UnreadableTimeError, duration_text, read_bound, read_relative
from memtrace_transports.memory import ManualClock
from tests.fake.caller import Caller

IDENTIFIER = "invalid ID format: must be alphanumeric with underscores/hyphens, max 128 chars"
TYPE = "invalid type format: must be alphanumeric with underscores, max 64 chars"
TAG = "invalid tag format: must be alphanumeric with underscores/hyphens/dots, max 64 chars"
HOUR = 3600
ROWS = [
    {"agent_id": "a1", "content": "old", "age_s": 30 * HOUR, "session_id": "s1", "tags": ["gui", "nav"]},
    {"agent_id": "a2", "content": "Dark_mode", "age_s": 5 * HOUR, "memory_type": "decision", "tags": ["ui.main"]},
    {"agent_id": "a1", "content": "100% \\ sure", "age_s": 2 * HOUR, "event_type": "error", "importance": 0.5},
    {"agent_id": "a1", "content": "new", "age_s": HOUR, "session_id": "s1", "importance": -1, "tags": ["UI"]},
]


@pytest.fixture
def rows(api: Caller) -> Caller:
    api.fake.seed(api.org, ROWS)
    return api


ALL = ["old", "Dark_mode", "100% \\ sure", "new"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ALL),
        ("agent_id=a1", ["old", "100% \\ sure", "new"]),
        ("agent_id=a1&session_id=s1", ["old", "new"]),
        ("agent_id=&session_id=&memory_type=&event_type=&tags=&since=&until=", ALL),
        ("memory_type=decision", ["Dark_mode"]),
        ("memory_type=unheard_of", []),
        ("event_type=error", ["100% \\ sure"]),
        ("tags=ui", ["old", "Dark_mode"]),
        ("tags=i.m", ["Dark_mode"]),
        ("tags=gui,nav", ["old"]),
        ("tags=%20nav%20,,%09gui%C2%A0", ["old"]),
        ("tags=,", ALL),
        ("tags=nav,none", []),
        ("since=3h", ["100% \\ sure", "new"]),
        ("until=120m", ["old", "Dark_mode", "100% \\ sure"]),
        ("since=1d&until=3h", ["Dark_mode"]),
        ("until=now", ALL),
        ("unknown=1&AGENT_ID=a2", ALL),
        ("agent_id=a2&agent_id=a1", ["Dark_mode"]),
        ("limit=2", ["old", "Dark_mode"]),
        ("limit=%2B2", ["old", "Dark_mode"]),
        ("limit=+2", ALL),
        ("offset=3", ["new"]),
        ("offset=4", []),
        ("offset=9223372036854775807", []),
        ("offset=99999999999999999999", ALL),
        ("offset=-1&limit=1", ["old"]),
        ("limit=1&offset=x", ["old"]),
        ("agent%5Fid=a2", ["Dark_mode"]),
        ("agent_id=a2%zz", None),
    ],
)
def test_filters_of_a_list(rows: Caller, query: str, found: list[str] | None) -> None:
    answer = rows.get(f"/memories?order=asc&{query}")
    if found is None:
        assert answer.status == 500
    else:
        assert [memory["content"] for memory in answer.json["memories"]] == found


@pytest.mark.parametrize("order", ["", "&order=desc", "&order=ASC", "&order=x", "&order="])
def test_anything_but_asc_is_newest_first(rows: Caller, order: str) -> None:
    assert rows.contents(f"/memories?limit=9{order}") == ALL[::-1]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("agent_id=1&session_id=!", f"invalid agent_id: {IDENTIFIER}"),
        ("session_id=!&memory_type=-", f"invalid session_id: {IDENTIFIER}"),
        ("memory_type=-&event_type=-", f"invalid memory_type: {TYPE}"),
        ("event_type=-&tags=-,!", f"invalid event_type: {TYPE}"),
        ("tags=a%20b", f"invalid tag: {TAG}"),
        ("tags=%ff", f"invalid tag: {TAG}"),
        ("agent_id=a%00", f"invalid agent_id: {IDENTIFIER}"),
    ],
)
def test_bad_filters_answer_500_and_the_first_is_told(rows: Caller, query: str, error: str) -> None:
    answer = rows.get(f"/memories?since=nonsense&{query}")
    assert (answer.status, answer.error) == (500, error)


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("", PageLimits(100, 100)),
        ("1", PageLimits(1, 1)),
        ("007", PageLimits(7, 7)),
        ("+5", PageLimits(5, 5)),
        ("1000", PageLimits(1000, 1000)),
        ("1001", PageLimits(100, 1001)),
        ("9223372036854775807", PageLimits(100, 2**63 - 1)),
        *(
            (text, PageLimits(100, 100))
            for text in ("0", "-0", "-5", "1.5", "abc", " 1", "1 ", "1_0", "٣", "9223372036854775808")
        ),
    ],
)
def test_a_limit_that_is_out_of_range_silently_becomes_100(text: str, page: PageLimits) -> None:
    assert read_page(text) == page


@pytest.mark.slow
def test_has_more_is_whether_the_page_is_full(api: Caller) -> None:
    api.fake.seed(api.org, [{"agent_id": "a", "content": f"{n}", "age_s": 1} for n in range(105)])
    has_more = lambda limit: api.get(f"/memories?limit={limit}").json["has_more"]  # noqa: E731 - said often
    assert [has_more(limit) for limit in ("104", "105", "106", "0", "x", "1000", "1001")] == [
        *(True, True, False, True, True, False, False)
    ]
    assert api.get("/memories?limit=1001").json["count"] == 100
    assert api.get("/memories?offset=5").json["has_more"] is True
    for path in ("/agents/a/memories", "/sessions/s/memories"):
        assert api.get(path + "?limit=1001").json["has_more"] is False
    assert api.get("/agents/a/memories").json["has_more"] is True


# time bounds

NOW = 1_767_225_600_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600),
        ("01h", 3600),
        ("60m", 3600),
        ("8760h", 31_536_000),
        ("365d", 31_536_000),
        ("8760m", 525_600),
        ("+1h", 3600),
    ],
)
def test_relative_bounds(text: str, seconds: int) -> None:
    assert read_relative(text) == seconds * 1_000_000
    assert read_bound(text, NOW) == NOW - seconds * 1_000_000
    assert read_bound("0" * 5_000 + text.removeprefix("+"), NOW) == NOW - seconds * 1_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-01-01", datetime(2020, 1, 1, tzinfo=timezone.utc)),
        ("2020-1-1", datetime(2020, 1, 1, tzinfo=timezone.utc)),
        ("2020-02-29 01:02:03", datetime(2020, 2, 29, 1, 2, 3, tzinfo=timezone.utc)),
        ("2020-02-29T01:02:03", datetime(2020, 2, 29, 1, 2, 3, tzinfo=timezone.utc)),
        ("2020-02-29T01:02:03.5Z", datetime(2020, 2, 29, 1, 2, 3, 500_000, tzinfo=timezone.utc)),
        ("2020-02-29T01:02:03.123456789Z", datetime(2020, 2, 29, 1, 2, 3, 123_456, tzinfo=timezone.utc)),
        ("2020-01-01T00:00:00+05:30", datetime(2019, 12, 31, 18, 30, tzinfo=timezone.utc)),
        ("2020-01-01T00:00:00-02", datetime(2020, 1, 1, 2, tzinfo=timezone.utc)),
    ],
)
def test_timestamps(text: str, moment: datetime) -> None:
    assert read_bound(text, NOW) == round(moment.timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "text",
    [
        *("1.5h", "1w", "30s", "1H", "0h", "366d", "8761m", "8761h", "-1h", " 1h", "1h ", "h", "1", "99999999999h"),
        *(
            "20200101",
            "2020-01-01T00:00Z",
            "now",
            "abc",
            "2020-13-01",
            "2020-02-30",
            "2020-01-01T25:00:00",
            "0000-01-01",
        ),
        *("2020-01-01T00:00:00.1234567890Z", "2020-01-01T00:00:00 05:00", "2020-01-01Z", "٢h", "1h\n"),
    ],
)
def test_bounds_that_storage_cannot_read(rows: Caller, text: str) -> None:
    with pytest.raises(UnreadableTimeError):
        read_bound(text, NOW)
    for bounds in ({"since": text}, {"until": text}):
        if bounds != {"until": "now"}:
            assert rows.post("/search", bounds).status == 500


def test_both_bounds_are_exclusive(api: Caller, clock: ManualClock) -> None:
    api.add("edge")
    clock.advance(3600)
    for query in ("since=1h", "until=1h", "since=2026-01-01", "until=2026-01-01"):
        assert api.contents(f"/memories?{query}") == []
    assert api.contents("/memories?since=2025-12-31T23:59:59.999999Z&until=2026-01-01T00:00:00.000001Z") == ["edge"]


def test_durations_are_written_as_go_writes_them() -> None:
    assert [duration_text(x) for x in (0, 500_000, 59_000_000, 3_600_000_000)] == ["0s", "0.5s", "59s", "1h0m0s"]


# the lists of agents and sessions


def test_an_agents_list_reads_few_filters_and_the_last_day_by_default(rows: Caller) -> None:
    assert rows.contents("/agents/a1/memories") == ["new", "100% \\ sure"]
    assert rows.contents("/agents/a1/memories?since=") == ["new", "100% \\ sure"]
    assert rows.contents("/agents/a1/memories?since=7d&order=asc&limit=1") == ["old"]
    assert rows.contents("/agents/a1/memories?event_type=error") == ["100% \\ sure"]
    assert rows.contents("/agents/a1/memories?memory_type=decision") == []
    ignored = "tags=!&until=nonsense&offset=1&session_id=!&agent_id=!"
    assert rows.contents(f"/agents/a1/memories?{ignored}") == ["new", "100% \\ sure"]
    assert rows.get("/agents/unknown/memories").json == {"memories": [], "count": 0, "has_more": False}
    assert rows.get("/agents/1/memories").error == f"invalid agent_id: {IDENTIFIER}"
    assert rows.get("/agents/a1/memories?since=x").status == 500


def test_an_agents_list_never_resolves_a_name(api: Caller) -> None:
    agent = api.post("/agents", {"name": "bob"}).json["id"]
    api.add("by name", agent_id="bob")
    api.add("by id", agent_id=agent)
    assert api.contents("/agents/bob/memories") == ["by name"]
    assert api.contents(f"/agents/{agent}/memories") == ["by id"]


def test_a_sessions_list_reads_few_filters_from_the_beginning(rows: Caller) -> None:
    assert rows.contents("/sessions/s1/memories") == ["new", "old"]
    assert rows.contents("/sessions/s1/memories?since=2h") == ["new"]
    assert rows.contents("/sessions/s1/memories?order=asc&limit=1") == ["old"]
    assert rows.contents("/sessions/s1/memories?memory_type=entity") == []
    ignored = "tags=!&until=nonsense&offset=1&event_type=!&session_id=!"
    assert rows.contents(f"/sessions/s1/memories?{ignored}") == ["new", "old"]
    assert rows.get("/sessions/unknown/memories").json["count"] == 0
    assert rows.get("/sessions/!/memories").error == f"invalid session_id: {IDENTIFIER}"


# look-ups and searches


def test_a_look_up_finds_the_newest_row_that_holds_the_text(rows: Caller) -> None:
    assert rows.get("/memories/o").json["content"] == "Dark_mode"
    assert rows.get("/memories/100%").json["content"] == "100% \\ sure"
    for missing in ("nope", "100%25", "%6Eew", "dark"):
        answer = rows.get(f"/memories/{missing}")
        assert (answer.status, answer.error) == (404, "memory not found")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ALL),
        ({"agent_id": "", "memory_types": [], "event_types": [], "tags": [], "content_contains": ""}, ALL),
        ({"agent_id": "a2"}, ["Dark_mode"]),
        ({"session_id": "s1"}, ["old", "new"]),
        ({"memory_types": ["decision", "unheard_of", ""]}, ["Dark_mode"]),
        ({"memory_types": [""]}, []),
        ({"event_types": ["error"]}, ["100% \\ sure"]),
        ({"tags": ["", "ui"]}, ["old", "Dark_mode"]),
        ({"tags": ["gui", "nav"]}, ["old"]),
        ({"content_contains": "dark"}, []),
        ({"content_contains": "k_m"}, ["Dark_mode"]),
        ({"content_contains": "0%"}, ["100% \\ sure"]),
        ({"content_contains": "\\ s"}, ["100% \\ sure"]),
        ({"content_contains": "n\0e\0w"}, ["new"]),
        ({"content_contains": "\0"}, ALL),
        ({"min_importance": 0}, ALL),
        ({"min_importance": -5}, ALL),
        ({"min_importance": 0.5000004}, ["100% \\ sure"]),
        ({"min_importance": 0.500001}, []),
        ({"min_importance": 4e-7}, ["old", "Dark_mode", "100% \\ sure"]),
        ({"since": "6h", "until": "90m"}, ["Dark_mode", "100% \\ sure"]),
        ({"until": "now"}, ALL),
        ({"limit": 2}, ["old", "Dark_mode"]),
        ({"offset": 2}, ALL),
        ({"order": "ASC"}, ALL[::-1]),
    ],
)
def test_filters_of_a_search(rows: Caller, query: dict[str, object], found: list[str]) -> None:
    assert rows.found(**query) == found


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"agent_id": "1", "session_id": "1"}, f"invalid agent_id: {IDENTIFIER}"),
        ({"memory_types": ["ok", "-"], "event_types": ["-"]}, f"invalid memory_type: {TYPE}"),
        ({"event_types": ["-"], "tags": ["!"]}, f"invalid event_type: {TYPE}"),
        ({"tags": [" ui"]}, f"invalid tag: {TAG}"),
    ],
)
def test_bad_filters_of_a_search_answer_500(rows: Caller, query: dict[str, object], error: str) -> None:
    answer = rows.post("/search", query)
    assert (answer.status, answer.error) == (500, error)


def test_a_search_gives_50_rows_unless_1_to_1000_are_asked_for(api: Caller) -> None:
    api.fake.seed(api.org, [{"agent_id": "a", "content": f"{n}", "age_s": 1} for n in range(60)])
    counts = [api.post("/search", {"limit": limit}).json["count"] for limit in (None, 0, -1, 1001, 59, 1000)]
    assert counts == [50, 50, 50, 50, 59, 60]
    assert list(api.post("/search", {}).json) == ["results", "count", "query_time_ms"]
