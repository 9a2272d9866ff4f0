"""Random histories of writes over a network that fails, on a clock that stands still: what each call says is true of the store."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import AddMemoryRequest, AsyncMemtrace, ConflictError, Memtrace, MemtraceError, RetryPolicy
from memtrace.transport import Response, TransportError
from memtrace_transports import AsyncMemoryTransport, FakeMemtrace, ManualClock, MemoryTransport


class Interrupted(BaseException):
    """Stands for a KeyboardInterrupt or a cancellation."""


def _proxy(status):
    return lambda: Response(status, body=b"<html>")


BEFORE = {  # the server never hears of the request
    "refused": lambda: TransportError("x", cause="connect", maybe_sent=False),
    "reset before": lambda: TransportError("x", cause="reset", maybe_sent=True),
    "502 before": _proxy(502),
    "503": _proxy(503),
    "429": _proxy(429),
    "interrupted before": Interrupted,
}
AFTER = {  # the server has done what was asked, and nobody hears of it
    "reset after": lambda: TransportError("x", cause="reset", maybe_sent=True),
    "timeout after": lambda: TransportError("x", cause="timeout", maybe_sent=True),
    "502 after": _proxy(502),
    "504 after": _proxy(504),
    "garbled": lambda: Response(201, body=b'{"time": "2026-'),
    "interrupted after": Interrupted,
}
WAYS = ["works", "works", "works", *BEFORE, *AFTER]


class Network:
    """What happens to each request in turn; then all of them work."""

    def __init__(self, fake, ways):
        self._fake = fake
        self._ways = list(ways)

    def pass_on(self, request):
        way = self._ways.pop(0) if self._ways else "works"
        if way in BEFORE:
            answer = BEFORE[way]()
        else:
            answer = self._fake.handle(request)
            answer = AFTER[way]() if way in AFTER else answer
        if isinstance(answer, BaseException):
            raise answer
        return answer


class SyncNetwork(Network, MemoryTransport):
    def __init__(self, fake, ways):
        MemoryTransport.__init__(self, fake)
        Network.__init__(self, fake, ways)

    def send(self, request):
        return self.pass_on(request)


class AsyncNetwork(Network, AsyncMemoryTransport):
    def __init__(self, fake, ways):
        AsyncMemoryTransport.__init__(self, fake)
        Network.__init__(self, fake, ways)

    async def send(self, request):
        await asyncio.sleep(0)
        return self.pass_on(request)


class World:
    """A server with the real one's delays, a client behind the network, and what its calls have said."""

    def __init__(self, form, ways, server=None, **settings):
        self.clock = ManualClock()
        self.fake = FakeMemtrace(clock=self.clock, visibility="server", **(server or {}))
        self.key = self.fake.organisation().api_key
        self.form = form
        given_ = {"clock": self.clock, "retry": RetryPolicy(jitter=lambda: 1.0), "dedup": "server", **settings}
        if form == "sync":
            self.client = Memtrace("memory://", self.key, transport=SyncNetwork(self.fake, ways), **given_)
        else:
            self.client = AsyncMemtrace("memory://", self.key, transport=AsyncNetwork(self.fake, ways), **given_)

    def do(self, call):
        """The result of a call, or what it raised."""
        try:
            result = call(self.client)
            return result if self.form == "sync" else asyncio.run(result)
        except (MemtraceError, Interrupted) as error:
            return error

    def stored(self):
        """How often each content is in the store, asked past the network."""
        self.fake.flush()
        return Counter(memory.content for memory in self.fake.client().memories.iter(order="asc"))


def is_surely_absent(said):
    return isinstance(said, MemtraceError) and not said.maybe_applied and not isinstance(said, ConflictError)


forms = pytest.mark.parametrize("form", ["sync", "async"])
ways = st.lists(st.sampled_from(WAYS), max_size=30)
pauses = st.sampled_from([0, 0, 0.05, 0.5, 1.2, 100])


servers = st.sampled_from(
    [
        {},
        {"dedup_enabled": False},
        {"dedup_window_hours": 0},
        {"dedup_enabled": False, "write_flush_interval_ms": 9_000},
    ]
)


@forms
@given(
    ways, servers, st.lists(st.tuples(st.sampled_from(["server", "per_call", "own"]), pauses), min_size=1, max_size=6)
)
def test_what_a_write_says_is_true_of_the_store(form, ways, server, writes):
    world, said = World(form, ways, server), []
    for number, (key, pause) in enumerate(writes):
        fields = {"agent_id": "a", "content": f"content {number}"}
        fields |= {"dedup_key": f"key {number}"} if key == "own" else {}
        dedup = "per_call" if key == "per_call" else "server"
        said.append(world.do(lambda client, f=fields, d=dedup: client.with_options(dedup=d).memories.add(**f)))
        world.clock.advance(pause)
    stored = world.stored()
    for number, told in enumerate(said):
        content = f"content {number}"
        assert stored[content] <= 1
        if is_surely_absent(told):
            assert stored[content] == 0
        elif not isinstance(told, BaseException):
            assert told.content == content
            assert stored[content] == 1
        assert not isinstance(told, ConflictError)


@forms
@given(ways, st.lists(st.tuples(st.sampled_from("xy"), pauses), min_size=2, max_size=8))
def test_equal_contents_are_stored_once_whichever_of_the_calls_stores_them(form, ways, writes):
    world, rows, conflicts = World(form, ways), [], set()
    for content, pause in writes:
        told = world.do(lambda client, c=content: client.remember("a", c))
        if isinstance(told, ConflictError):
            assert not told.maybe_applied
            conflicts.add(content)
        elif not isinstance(told, BaseException):
            rows.append(told)
        world.clock.advance(max(pause, 1.2))  # nearer to each other the server itself stores both
    stored = world.stored()
    assert max(stored.values(), default=0) <= 1
    assert conflicts <= set(stored)
    assert {row.content for row in rows} <= set(stored)


@forms
@given(
    ways,
    servers,
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.integers(1, 6),
    st.sampled_from(["stop", "continue"]),
)
def test_what_a_batch_says_is_true_of_the_store(form, ways, server, numbers, chunk, on_failure):
    world = World(form, ways, server)
    requests = [AddMemoryRequest(agent_id="a", content=f"content {n}") for n in dict.fromkeys(numbers)]
    result = world.do(lambda client: client.memories.add_many(requests, chunk_size=chunk, on_failure=on_failure))
    stored = world.stored()
    assert max(stored.values(), default=0) <= 1
    if isinstance(result, Interrupted):
        return
    for outcome, request in zip(result, requests, strict=True):
        there = stored[request.content]
        if outcome.status in ("stored", "duplicate"):  # the latter where the rows could not be looked up
            assert there == 1
        if outcome.status == "stored":
            assert outcome.memory.content == request.content
        elif outcome.status == "failed":
            assert there == 0


@forms
@given(ways, st.lists(st.sampled_from(["register", "delete", "create", "close"]), min_size=1, max_size=8))
def test_what_agents_and_sessions_say_is_true_of_the_registry(form, ways, steps):
    world = World(form, ways)
    agent = world.fake.seed_agent("default", "held")
    session = world.fake.seed_session("default", agent)
    sessions = 1
    for number, step in enumerate(steps):
        name = f"bot {number}"
        names = {each.name for each in world.fake.client().agents.list().agents}
        if step == "register":
            told = world.do(lambda client, n=name: client.agents.register(name=n, config={"n": 2**60}))
            after = {each.name for each in world.fake.client().agents.list().agents}
            assert not isinstance(told, ConflictError)
            assert name in after if not isinstance(told, BaseException) else True
            assert name not in after if is_surely_absent(told) else True
        elif step == "delete":
            victim = world.fake.seed_agent("default", name)
            told = world.do(lambda client, v=victim: client.agents.delete(v))
            after = {each.name for each in world.fake.client().agents.list().agents}
            assert after == names if told is None else names <= after
            assert name in after if is_surely_absent(told) else True
        elif step == "create":
            told = world.do(lambda client: client.sessions.create(agent_id=agent))
            now = world.fake.client().sessions.list().count
            assert now - sessions <= 1
            assert now - sessions == 1 if not isinstance(told, BaseException) else True
            assert now == sessions if is_surely_absent(told) else True
            sessions = now
        else:
            told = world.do(lambda client: client.sessions.close(session))
            status = world.fake.client().sessions.get(session).status
            assert status == "closed" if not isinstance(told, BaseException) else True


@forms
def test_naive_repeats_on_the_same_network_store_some_twice(form):
    """So that the histories above are known to bite."""
    from memtrace.middleware import replace

    def naive(request, call_next):
        for _ in range(2):
            try:
                response = yield from call_next(request)
            except TransportError:
                continue
            if response.status < 500:
                return response
        return (yield from call_next(request))

    world = World(form, ["reset after"], middleware=[replace("retry", naive)])
    world.do(lambda client: client.remember("a", "content"))
    assert world.stored() == {"content": 2}
