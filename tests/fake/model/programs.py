"""Random programs for the two servers, drawn mostly from where a rule of the server begins or ends."""

from __future__ import annotations

import json
from typing import Any, TypeAlias
from urllib.parse import quote

from hypothesis import strategies as st

from tests.fake.model.side_by_side import Again, Call, Pass, Seed, Settle, Step, Storage

API = "/api/v1"
JSON_HEADERS = {"x-api-key": "<key>", "Content-Type": "application/json"}

AGENTS = ["a1", "A1", "bot-7", "<agent:0>", "<agent:1>"]
ODD_IDS = ["", "1", "a b", "a_b", "-a", "é", "a.b", "a" * 128, "a" * 129, "a\n", "st"]
SESSIONS = ["s1", "s2", "<sess:0>", "<sess:1>"]
TYPES = ["episodic", "session", "decision", "entity"]
ODD_TYPES = ["", "Episodic", "semantic", "episodic ", "x" * 64, "x" * 65, "a-b", "_x", "9"]
EVENTS = ["general", "error", "decision", "tool_call"]
TAGS = ["ui", "gui", "ui.main", "nav", "navigation", "x_y", "xay", "a-b", "1", "UI"]
ODD_TAGS = ["", "a b", "a,b", "é", "t" * 64, "t" * 65, "%", "u_"]
CONTENTS = [
    "ok",
    "Dark mode",
    "dark",
    "100% sure",
    "a_b",
    "axb",
    "a\\b",
    "<b>&</b>",
    "it's",
    "héllo",
    "日本語",
    " lead",
]
LONG_CONTENTS = [
    *("y" * 199, "y" * 200, "y" * 200 + "A", "y" * 200 + "B", "y" * 199 + "A", "y" * 199 + "AB", "y" * 199 + "é"),
    *("é" * 100 + "A", "é" * 100 + "B", "x" + "é" * 100, "x" + "é" * 99 + "è", "x" + "é" * 100 + "B"),
    *("z" * 79, "z" * 80, "z" * 81, "🎉" * 20, "x" + "🎉" * 20, "xx" + "🎉" * 20, "x" + "é" * 40, "two\nlines" * 9),
]
KEYS = ["k", "K", "it's", "a\\b", "a\0b", "ab", "", "k" * 300, "4a4779aed48bd7f653373dac749b04e5"]
IMPORTANCES = [
    0,
    0.0,
    0.1,
    0.5,
    0.9,
    1,
    1.0,
    -1,
    2,
    1e-9,
    1e-7,
    0.4999999,
    0.30000000000000004,
    1e21,
    1e20,
    123456789.5,
]
LEAST = [0, -1, 4e-7, 6e-7, 0.1, 0.1000001, 0.4999996, 0.5, 0.5000004, 0.5000006, 1, 2, 1e21]
METADATA: list[Any] = [
    {},
    {"b": 1, "a": 2.0},
    {"a": None},
    {"n": [2**53 + 1, 12345678901234567890, 1e21, 1e-7, 0.000001, -0.0, 1.5e300, 100]},
    {"deep": {"z": [], "a": {}, "é": "<&>"}, "Z": True},
    {"": "\u2028"},
]
WRONG: list[Any] = [1, 1.5, True, "x", [], {}, [1], [None], {"a": 1}, None]
SPANS = ["1h", "24h", "1d", "2d", "30m", "7d", "8760h", "365d", "8760m", "01h", "0001d", "+1h", "+07d"]
POINTS = [
    *("2020-01-01", "2020-1-1", "2026-01-01", "2026-01-01 00:00:00", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z"),
    *(
        "2026-01-01T05:00:00+05:00",
        "2025-12-31T20:30:00-03:30",
        "2026-01-02T00:00:00.5Z",
        "2099-01-01T00:00:00.123456789Z",
    ),
    *("2025-12-31T23:59:59.999999", "2026-02-28", "2024-02-29", "<time:0>", "<time:1>", "<time:5>"),
]
UNREADABLE = [
    *(
        "366d",
        "8761h",
        "8761m",
        "0h",
        "00m",
        "-1h",
        " 1h",
        "1h ",
        "h",
        "1",
        "30s",
        "1w",
        "1.5h",
        "1H",
        "1D",
        "abc",
        "1h1h",
    ),
    *("2020-13-01", "2023-02-29", "20200101", "2020-01-01T00:00Z", "2020-01-01T25:00:00", "NOW", "²h"),
]
LIMITS = [
    "0",
    "1",
    "2",
    "5",
    "100",
    "1000",
    "1001",
    "-1",
    "+5",
    "%2B5",
    "1e2",
    "1.5",
    "abc",
    "",
    "007",
    "99999999999999999999",
]
OFFSETS = ["0", "1", "3", "-1", "%2B2", "x", "1000000", "9223372036854775807", "9223372036854775808", "2.0"]
ORDERS = ["asc", "ASC", "desc", "", "x", "asc%20"]
ODD_BODIES = [
    *(
        b"",
        b" ",
        b"{",
        b"}",
        b"[",
        b"[]",
        b"null",
        b" null ",
        b"1",
        b"-",
        b"01",
        b"1.",
        b'"x"',
        b"true",
        b"tru",
        b"nul ",
    ),
    *(
        b'{"a":}',
        b'{"a" 1}',
        b'{"a":1,}',
        b"{a:1}",
        b'{"a":1 "b"}',
        b'{"a":[1 2]}',
        b'{"a":1}x',
        b"{}{}",
        b'{"a":"\n"}',
    ),
    *(
        b'{"a":"\\x"}',
        b'{"a":"\\u12g4"}',
        b'{"a":1e}',
        b'{"a":-x}',
        b'{"a":01}',
        b'{"a":"',
        b"'",
        b"\\",
        b"\xff",
        b"\xef\xbb\xbf{}",
    ),
    b'{"agent_id":"a1","content":"bad \xff\xfe\xe2\x82 byte","event_type":"error"}',
    b'{"agent_id":"a1","content":"\\ud83c\\udf89 \\ud800 \\udc00x"}',
    b'{"agent_id":"a1","content":"first","content":"second"}',
    b'{"AGENT_ID":"a1","Content":"case","TAGS":["ui"],"name":"n1","STATUS":"closed"}',
    b'{"agent_id":"a1","content":"merged","metadata":{"a":{"x":1},"b":1},"metadata":{"a":{"y":2}}}',
    b'{"name":"n4","config":{"a":{"x":1},"b":1},"config":{"a":{"y":2}}}',
    b'{"agent_\xc5\xbfession":1,"\xc5\xbfession_id":"s1","agent_id":"a1","content":"long s"}',
    b'{"memories":[null]}',
    b'{"memories":{"agent_id":"a1"},"agent_id":"a1","content":"not a list"}',
    b'{"Memories":[{"Agent_Id":"a1","content":"in batch"}],"agent_id":1}',
    b'{"memories":[{"agent_id":"a1","content":1}],"agent_id":"a1","content":"single"}',
    b'{"agent_id":1,"content":[],"tags":"x"}',
    b'{"limit":1.5}',
    b'{"limit":1e2}',
    b'{"limit":99999999999999999999}',
    b'{"min_importance":1e400}',
    b'{"importance":1e400,"agent_id":"a1","content":"x"}',
    b'{"tags":["ui",null]}',
    b'{"since":null,"tags":null,"limit":null}',
]
CONTENT_TYPES = [
    *("application/json; charset=utf-8", "application/vnd.api+json", "text/plain", "APPLICATION/JSON", None),
    "application/x-www-form-urlencoded",
]
ODD_TARGETS = [
    *(
        "/",
        "/nope",
        "/Health",
        "/health/",
        "/ready",
        API,
        f"{API}/",
        f"{API}/nope",
        f"{API}/memories/",
        "/API/v1/Agents",
    ),
    *(
        f"{API}/agents/a%20b",
        f"{API}/agents/%C3%A9",
        f"{API}/agents/x/nope",
        f"{API}/agents/x/memories/y",
        f"{API}/a'<>&\"b?q=<",
    ),
    *("/api//v1/agents", f"{API}/SESSIONS/?agent_id=", f"{API}/search", f"{API}/sessions/s1/context/", f"{API}/health"),
]
CREDENTIALS = [
    *({}, {"x-api-key": ""}, {"x-api-key": " "}, {"x-api-key": "mtk_wrong"}, {"X-API-KEY": " <key> "}),
    *({"Authorization": "Bearer <key>"}, {"authorization": "<key>"}, {"Authorization": "bearer <key>"}),
    *(
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic <key>"},
        {"Authorization": " "},
    ),
    {"x-api-key": "mtk_wrong", "Authorization": "Bearer <key>"},
    {"x-api-key": " ", "Authorization": "Bearer <key>"},
]


def mostly(usual: list[Any], odd: list[Any], one_in: int = 8) -> st.SearchStrategy[Any]:
    return st.integers(1, one_in).flatmap(lambda drawn: st.sampled_from(odd if drawn == one_in else usual))


def listed(usual: list[str], odd: list[str], one_in: int = 8) -> st.SearchStrategy[list[str]]:
    return st.lists(mostly(usual, odd, one_in), max_size=3)


def some(optional: dict[str, st.SearchStrategy[Any]], most: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    """A few of these fields; now and then one is of a type that it cannot have."""
    chosen = st.lists(st.sampled_from(sorted(optional)), max_size=most, unique=True)
    fields = chosen.flatmap(lambda names: st.fixed_dictionaries({name: optional[name] for name in names}))

    def spoilt(fields: dict[str, Any], name: str, wrong: Any, drawn: int) -> dict[str, Any]:
        return {**fields, name: wrong} if drawn == 0 else fields

    spoils = (st.sampled_from(sorted(optional)), st.sampled_from(WRONG), st.integers(0, 15))
    return st.builds(spoilt, fields, *spoils)


SINCE = st.one_of(st.sampled_from(SPANS), st.sampled_from(POINTS), mostly(["", *SPANS], UNREADABLE, 5))
UNTIL = st.one_of(SINCE, st.just("now"))
MEMORY = st.builds(
    lambda required, optional: {**required, **optional},
    st.fixed_dictionaries(
        {
            "agent_id": mostly(["a1", "a1", "a1", *AGENTS], ODD_IDS, 24),
            "content": mostly([*CONTENTS[:5], *CONTENTS, *LONG_CONTENTS], ["", None, 1], 32),
        }
    ),
    some(
        {
            "session_id": mostly(SESSIONS, ODD_IDS, 20),
            "memory_type": mostly(TYPES, ODD_TYPES, 20),
            "event_type": mostly(EVENTS, ODD_TYPES, 20),
            "tags": listed(TAGS, [*ODD_TAGS, ""], 12),
            "metadata": st.sampled_from(METADATA),
            "importance": st.sampled_from(IMPORTANCES),
            "dedup_key": st.sampled_from(KEYS),
            "parent_id": st.sampled_from(["", "no such / parent!"]),
        }
    ),
)
QUERY = some(
    {
        "agent_id": mostly(AGENTS, ODD_IDS, 20),
        "session_id": mostly(SESSIONS, ODD_IDS, 20),
        "memory_types": listed(TYPES, ODD_TYPES, 20),
        "event_types": listed(EVENTS, ODD_TYPES, 20),
        "tags": listed(TAGS, ODD_TAGS, 16),
        "content_contains": st.sampled_from(
            ["", "a", "Dark", "%", "_", "\\", "a_b", "a%b", "é", "\0", "y" * 150, "'", "<b>"]
        ),
        "min_importance": st.sampled_from(LEAST),
        "since": SINCE,
        "until": UNTIL,
        "limit": st.sampled_from([0, 1, 2, 5, 50, 51, 1000, 1001, -1]),
        "order": st.sampled_from(["asc", "ASC", "desc", "x", ""]),
    },
    most=3,
)
CONTEXT = some(
    {
        "since": SINCE,
        "include_types": listed(TYPES, ODD_TYPES),
        "max_tokens": st.sampled_from([0, 1, -5, 4000]),
    }
)
NAMES = ["n1", "N1", "with space", "a/b", "é", " ", "it's", "<b>", "a1"]


def query_string(usual: dict[str, st.SearchStrategy[str]]) -> st.SearchStrategy[str]:
    pairs = st.sampled_from(sorted(usual)).flatmap(lambda name: usual[name].map(lambda value: f"{name}={value}"))
    return st.lists(pairs, max_size=3).map(lambda chosen: "?" + "&".join(chosen) if chosen else "")


def quoted(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return values.map(lambda value: quote(value, safe="<>:"))


FILTERS = query_string(
    {
        "agent_id": quoted(mostly(AGENTS, ODD_IDS, 20)),
        "session_id": quoted(mostly(SESSIONS, ODD_IDS, 20)),
        "memory_type": quoted(mostly(TYPES, ODD_TYPES, 20)),
        "event_type": quoted(mostly(EVENTS, ODD_TYPES, 20)),
        "tags": st.one_of(
            quoted(mostly(TAGS, ODD_TAGS, 16)), st.sampled_from(["ui,nav", "nav,%20ui", ",", "+ui+,,", "ui%2Cnav"])
        ),
        "since": quoted(SINCE),
        "until": quoted(UNTIL),
        "limit": st.sampled_from(LIMITS),
        "offset": st.sampled_from(OFFSETS),
        "order": st.sampled_from(ORDERS),
        "Limit": st.just("1"),
        "unknown": st.just("1%zz"),
    }
)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def bodied(method: str, target: str, value: Any) -> Call:
    return Call(method, target, encoded(value), JSON_HEADERS)


def got(pattern: str, segments: st.SearchStrategy[str], queries: st.SearchStrategy[str]) -> st.SearchStrategy[Call]:
    return st.builds(lambda segment, query: Call("GET", API + pattern.format(segment) + query), segments, queries)


AGENT_SEGMENT = st.sampled_from(
    [*AGENTS, *AGENTS, *["a1"] * 6, "n1", "N1", "nope", "1", "a%20b", "it's", "a%2Fb", "A1/", "a" * 129]
)
SESSION_SEGMENT = st.sampled_from([*SESSIONS, *SESSIONS, *["s1"] * 5, "nope", "1", "a'b"])
NO_QUERY = st.just("")

WRITE = MEMORY.map(lambda memory: bodied("POST", f"{API}/memories", memory))
BATCH = st.lists(MEMORY, max_size=4).map(lambda rows: bodied("POST", f"{API}/memories", {"memories": rows}))
LISTS = FILTERS.map(lambda query: Call("GET", f"{API}/memories{query}"))
SEARCHES = QUERY.map(lambda query: bodied("POST", f"{API}/search", query))
OTHER_READS = st.one_of(
    got("/agents/{}/memories", AGENT_SEGMENT, FILTERS),
    got("/sessions/{}/memories", SESSION_SEGMENT, FILTERS),
    got("/memories/{}", st.sampled_from(["a", "y", "%25", "it's", "nope", "a_b", "Dark%20mode"]), NO_QUERY),
    st.builds(lambda one, body: bodied("POST", f"{API}/sessions/{one}/context", body), SESSION_SEGMENT, CONTEXT),
    got("/agents/{}/stats", AGENT_SEGMENT, NO_QUERY),
    got("/agents/{}/stats", AGENT_SEGMENT, NO_QUERY),
)
REGISTER = some(
    {
        "description": st.sampled_from(["", "what it does"]),
        "config": st.sampled_from(METADATA),
    }
)
REGISTRY = st.one_of(
    st.builds(
        lambda name, rest: bodied("POST", f"{API}/agents", {"name": name, **rest}),
        mostly(NAMES, ["", 1, None]),
        REGISTER,
    ),
    st.just(Call("GET", f"{API}/agents")),
    got("/agents/{}", AGENT_SEGMENT, NO_QUERY),
    AGENT_SEGMENT.map(lambda segment: Call("DELETE", f"{API}/agents/{segment}")),
    st.builds(
        lambda agent, metadata: bodied("POST", f"{API}/sessions", {"agent_id": agent, "metadata": metadata}),
        mostly(["<agent:0>", "<agent:1>"], ["", "n1", "nope", 1, None]),
        mostly(METADATA, WRONG),
    ),
    st.sampled_from(["", "?agent_id=<agent:0>", "?agent_id=n1", "?agent_id=", "?status=active"]).map(
        lambda query: Call("GET", f"{API}/sessions{query}")
    ),
    got("/sessions/{}", SESSION_SEGMENT, NO_QUERY),
    st.builds(
        lambda segment, body: bodied("PUT", f"{API}/sessions/{segment}", body),
        st.one_of(st.just("<sess:0>"), SESSION_SEGMENT),
        some(
            {
                "status": st.sampled_from(["closed", "closed", "active", "anything", ""]),
                "metadata": st.sampled_from([{}, {}, *METADATA]),
            }
        ),
    ),
)
POSTED = ["/memories", "/search", "/agents", "/sessions", "/sessions/s1/context"]
ODDITIES = st.one_of(
    st.builds(
        lambda path, body: Call("POST", API + path, body, JSON_HEADERS),
        st.sampled_from(POSTED),
        st.sampled_from(ODD_BODIES),
    ),
    st.builds(lambda body: Call("PUT", f"{API}/sessions/<sess:0>", body, JSON_HEADERS), st.sampled_from(ODD_BODIES)),
    st.builds(
        lambda path, kind: Call(
            "POST",
            API + path,
            encoded({"agent_id": "a1", "content": "typed", "name": "typed"}),
            {"x-api-key": "<key>", **({"Content-Type": kind} if kind else {})},
        ),
        st.sampled_from(POSTED),
        st.sampled_from(CONTENT_TYPES),
    ),
    st.builds(
        Call,
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
        st.sampled_from(ODD_TARGETS),
        st.none(),
        st.sampled_from([{"x-api-key": "<key>"}, {"x-api-key": "<key>"}, {}]),
    ),
    st.builds(lambda headers: Call("GET", f"{API}/agents", None, headers), st.sampled_from(CREDENTIALS)),
)
SEEDS = st.lists(
    st.builds(
        lambda memory, age: {**memory, "age_s": age},
        st.fixed_dictionaries(
            {
                "agent_id": st.sampled_from(["a1", "A1", "bot-7"]),
                "content": st.sampled_from([*CONTENTS, *CONTENTS, *LONG_CONTENTS]),
            },
            optional={
                "session_id": st.sampled_from(["s1", "s2"]),
                "memory_type": st.sampled_from(TYPES),
                "event_type": st.sampled_from(EVENTS),
                "tags": st.lists(st.sampled_from([*TAGS, ""]), max_size=3),
                "metadata": st.sampled_from(METADATA),
                "importance": st.sampled_from(IMPORTANCES),
                "dedup_key": st.sampled_from(["k", "K", "it's"]),
            },
        ),
        st.sampled_from(
            [60, 1700, 1900, 3590, 3610, 86_300, 86_500, 172_000, 604_000, 605_000, 525_000, 526_000, 31_535_000]
        ),
    ),
    min_size=1,
    max_size=8,
).map(Seed)
PASSING = st.sampled_from([0.05, 0.09, 0.1, 0.15, 0.5, 0.9, 0.95, 1.0, 1.1, 60.0, 3600.0, 86_398.0, 86_400.0]).map(Pass)
STATES = st.sampled_from(["up", "up", "up", "none", "down"]).map(Storage)

AGAIN = st.integers(0, 5).map(Again)
SETTLING = st.just(Settle())
Weights: TypeAlias = "list[tuple[int, st.SearchStrategy[Step]]]"


def programs(weights: Weights) -> st.SearchStrategy[list[Step]]:
    """Programs of such steps, each as often as its weight says, over a few rows of the past."""
    kinds = st.sampled_from([steps for weight, steps in weights for _ in range(weight)])
    return st.builds(
        lambda seed, steps: [seed, *steps], SEEDS, st.lists(kinds.flatmap(lambda kind: kind), min_size=15, max_size=40)
    )


READING = programs([(1, WRITE), (4, LISTS), (4, SEARCHES), (4, OTHER_READS), (1, SEEDS), (1, PASSING)])
WRITING = programs([(6, WRITE), (2, BATCH), (4, AGAIN), (1, LISTS), (1, OTHER_READS), (3, PASSING), (2, SETTLING)])
REGISTERING = programs([(12, REGISTRY), (1, WRITE), (2, PASSING), (1, ODDITIES)])
EVERYTHING = programs(
    [
        *((6, WRITE), (2, BATCH), (3, AGAIN), (3, LISTS), (3, SEARCHES), (4, OTHER_READS), (3, REGISTRY)),
        *((3, ODDITIES), (1, SEEDS), (4, PASSING), (3, SETTLING), (2, STATES)),
    ]
)
