"""Short programs for what no recorded vector shows; fake and model have to agree on each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memtrace.transport import Headers, Request
from tests.fake.model.programs import API, JSON_HEADERS, bodied
from tests.fake.model.side_by_side import Call, DifferenceError, Pass, Seed, Settle, SideBySide, Step, Storage
from tests.fake.mutants.flip import Fake

A_BIT_LATER = Pass(0.15)
CAPACITY = 10_000


def get(path: str) -> Call:
    return Call("GET", API + path)


def raw(path: str, body: bytes) -> Call:
    return Call("POST", API + path, body, JSON_HEADERS)


def add(content: str = "likes tea", **fields: Any) -> Call:
    return bodied("POST", f"{API}/memories", {"agent_id": "a1", "content": content, **fields})


def search(**query: Any) -> Call:
    return bodied("POST", f"{API}/search", query)


def context(**asked: Any) -> Call:
    return bodied("POST", f"{API}/sessions/s1/context", asked)


def change(**fields: Any) -> Call:
    return bodied("PUT", f"{API}/sessions/<sess:0>", fields)


def authorized(**headers: str) -> Call:
    return Call("GET", f"{API}/agents", None, {name.replace("_", "-"): value for name, value in headers.items()})


def row(content: str, age_s: float, **fields: Any) -> Mapping[str, Any]:
    return {"agent_id": "a1", "content": content, "age_s": age_s, **fields}


AGENT = bodied("POST", f"{API}/agents", {"name": "n1"})
SESSION = bodied("POST", f"{API}/sessions", {"agent_id": "<agent:0>"})
STATS = get("/agents/a1/stats")
LIST = get("/memories?order=asc")
THREE = Seed([row("oldest", 300, tags=["ui", "nav"]), row("middle", 200), row("newest", 100, tags=["nav"])])

AT_ONCE: Mapping[str, Sequence[Step]] = {
    "read at once": [add(), LIST, add()],
    "bounds are exclusive": [
        *(THREE, LIST, get("/memories?since=<time:1>"), get("/memories?until=<time:1>")),
        search(since="<time:0>", until="<time:2>"),
    ],
    "forms of a query": [
        *(THREE, get("/memories?limit=%2B2"), get("/memories?tags=nav,%20ui"), get("/memories?limit=1&limit=2")),
        *(get("/memories?limit=2&limit="), get("/memories?offset=%2B1"), get("/memories?Limit=1")),
        get("/memories?agent_id=1&session_id=1"),
    ],
    "spans": [
        Seed([row("a year", 31_500_000), row("a month", 2_600_000), row("a week", 604_900)]),
        *(get(f"/memories?since={span}") for span in ("8761m", "8760m", "365d", "366d", "8760h", "8761h", "0h", "7d")),
    ],
    "points in time": [
        Seed([row("at night", 3 * 3600), row("in the evening", 6 * 3600), row("at noon", 12 * 3600)]),
        *(
            get(f"/memories?since={point}")
            for point in (
                *("2020-1-1", "2025-12-31T20:00:00Z", "2025-12-31%2020:00:00", "2026-01-01T01:00:00%2B05:00"),
                *("2025-12-31T15:00:00-05:00", "2025-12-31T20:00:00.123456789", "20200101", "2023-02-29"),
            )
        ),
    ],
    "importance from zero": [
        Seed([row("worth less", 10, importance=-1), row("worth nothing", 9), row("worth it", 8, importance=0.5)]),
        *(search(min_importance=0), search(min_importance=-2), search(min_importance=4e-7)),
        *(search(min_importance=0.5000004), search(min_importance=0.5000006)),
    ],
    "the newest of a key counts": [
        Seed([row("fresh", 10, dedup_key="k"), row("stale", 100_000, dedup_key="k")]),
        add(dedup_key="k"),
    ],
    "the window of a key": [add(), Pass(86_398), add(), Pass(10), add()],
    "errors of a day": [
        Seed([row("old", 90_000, event_type="error"), row("new", 10, event_type="error"), row("fine", 9)]),
        STATS,
    ],
    "metadata in order": [
        add("sorted", metadata={"b": 1, "a": {"d": 1, "c": 2}}),
        raw("/memories", b'{"agent_id":"a1","content":"merged","metadata":{"a":1,"b":2},"metadata":{"b":3}}'),
        LIST,
    ],
    "bodies as Go reads them": [
        raw("/memories", b'{"agent_id":"a1","content":"\xe2\x82 \xf0\x9f\x8e"}'),
        raw("/memories", b'{"agent_id":"a1","content":"\\ud800"}'),
        raw(
            "/memories", b'{"memories":[{"agent_id":"a1","content":"x"}],"memories":[{"agent_id":"a1","content":"y"}]}'
        ),
        *(raw("/search", b'{"limit":1.5}'), raw("/search", b'{"limit":1e2}'), raw("/search", b'{"a":tru')),
        *(raw("/search", b'{"a":01}'), raw("/search", b'{"tags":[1]}'), raw("/search", b'{"tags":["\xff"]}')),
        raw("/memories", b'{"\xc5\xbfession_id":"s1","agent_id":"a1","content":"folded"}'),
    ],
    "credentials": [
        authorized(authorization="bearer <key>"),
        authorized(authorization="Bearer <key>"),
        authorized(authorization="Bearer"),
        authorized(x_api_key=" ", authorization="Bearer <key>"),
        authorized(x_api_key=" <key> "),
    ],
    "paths as sent": [get("/a'<>&\"b?q=<"), get("/AGENTS/"), Call("HEAD", f"{API}/agents"), get("/memories/%6f")],
    "sessions in time": [
        *(AGENT, SESSION, Pass(2), change(status="closed"), Pass(2), change(status="closed"), Pass(2), change()),
        *(change(status="active"), get("/sessions/<sess:0>"), get("/agents"), get("/agents/n1")),
    ],
    "storage goes down": [
        *(add(), Storage("down"), add(), STATS, LIST, get("/memories?agent_id=1"), Call("GET", "/ready"), search()),
        *(context(), AGENT, SESSION, Storage("up"), LIST, Call("GET", "/ready"), Storage("none"), LIST, STATS, add()),
        Call("GET", "/ready"),
    ],
    "open to all": [
        *(
            Call("GET", "/health"),
            Call("GET", "/ready"),
            Storage("down"),
            Call("GET", "/health"),
            Call("GET", "/ready"),
        ),
        *(Storage("none"), Call("GET", "/health"), Call("GET", "/ready")),
    ],
    "pages of a thousand": [
        Seed([row(f"number {number}", 2000 - number) for number in range(1105)]),
        *(get("/memories?limit=1000"), get("/memories?limit=1001"), get("/memories?limit=1000&offset=106")),
        *(get("/memories?limit=1001&offset=1005"), get("/memories?offset=1005"), get("/memories?offset=1006")),
        *(search(limit=1000), search(limit=1001), search(limit=51)),
    ],
    "lines of a context": [
        Seed(
            [
                row("x" + "🎉" * 20, 50, session_id="s1"),
                row("z" * 80, 40, session_id="s1", memory_type="decision"),
                row("é" * 41, 30, session_id="s1", memory_type="session", event_type="error"),
                row("other", 20, session_id="s1", memory_type="entity", event_type="error"),
                row("older", 100_000, session_id="s1"),
            ]
        ),
        *(context(), context(since="2020-01-01"), context(since="2d"), context(include_types=["episodic", ""])),
    ],
}
IN_TIME: Mapping[str, Sequence[Step]] = {
    "a read shows what an earlier one sent off": [add(), LIST, LIST, Pass(0.05), LIST, Pass(0.1), LIST],
    "statistics send nothing off": [add(), STATS, A_BIT_LATER, STATS, Pass(0.6), STATS, Pass(0.5), STATS],
    "a batch sends itself off": [
        bodied("POST", f"{API}/memories", {"memories": [{"agent_id": "a1", "content": "x"}] * 2}),
        *(STATS, A_BIT_LATER, STATS),
    ],
    "a hundred writes send themselves off": [
        *(add(f"number {number}") for number in range(99)),
        *(A_BIT_LATER, STATS, add("the hundredth"), STATS, A_BIT_LATER, STATS),
    ],
    "every read sends off": [
        *(add("1"), search(), A_BIT_LATER, STATS, add("2"), context(), A_BIT_LATER, STATS),
        *(add("3"), get("/memories/x"), A_BIT_LATER, STATS, add("4"), get("/agents/b/memories"), A_BIT_LATER, STATS),
        *(add("5"), get("/memories?agent_id=1"), A_BIT_LATER, STATS),
    ],
    "a duplicate is known late": [add(), add(), LIST, add(), A_BIT_LATER, add(), Pass(86_400), add(), Settle(), add()],
}


def agreed(visibility: str, steps: Sequence[Step]) -> Callable[[Fake], None]:
    """A check that the fake and the model agree on these steps."""

    def check(subject: Fake) -> None:
        SideBySide(visibility, fake_class=subject.fake, clock=subject.clock()).run(steps)

    return check


def the_oldest_go(subject: Fake) -> None:
    """More writes than the buffer of an organisation holds while its storage is down."""
    clock = subject.clock()
    fake = subject.fake(clock=clock)
    org = fake.organisation("one", storage="down")
    headers = Headers({"x-api-key": org.api_key, "Content-Type": "application/json"})
    for first in range(0, CAPACITY + 1, 1000):
        numbers = range(first, min(first + 1000, CAPACITY + 1))
        body = {"memories": [{"agent_id": "a1", "content": f"number {number}"} for number in numbers]}
        fake.handle(Request("POST", "http://fake", f"{API}/memories", headers, json.dumps(body).encode()))
    fake.set_storage(org, "up")
    fake.flush()
    stats = json.loads(fake.handle(Request("GET", "http://fake", f"{API}/agents/a1/stats", headers)).body)
    oldest = json.loads(fake.handle(Request("GET", "http://fake", f"{API}/memories?order=asc", headers)).body)
    if (stats["memory_count"], oldest["memories"][0]["content"]) != (CAPACITY, "number 1"):
        raise DifferenceError(f"{stats['memory_count']} rows, the first of them {oldest['memories'][0]['content']}")


def storage_is_told_by_name(subject: Fake) -> None:
    """Organisations are told of in the order of their ids, whichever was made first."""
    fake = subject.fake(clock=subject.clock())
    for number in range(8):
        fake.organisation(f"number {number}")
    for path in ("/health", "/ready"):
        told = list(json.loads(fake.handle(Request("GET", "http://fake", path, Headers())).body)["arc"])
        if told != sorted(told):
            raise DifferenceError(f"{path} tells of {told}")


DIRECTED: Mapping[str, Callable[[Fake], None]] = {
    **{name: agreed("immediate", steps) for name, steps in AT_ONCE.items()},
    **{name: agreed("server", steps) for name, steps in IN_TIME.items()},
    "the oldest go": the_oldest_go,
    "storage is told by name": storage_is_told_by_name,
}
