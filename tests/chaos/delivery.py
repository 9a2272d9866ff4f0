"""What happens to each call that meets each fault once: the cells of the table in docs/delivery-guarantees.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from memtrace import AddMemoryRequest, MemtraceError, RetryPolicy
from memtrace.operations._retry_policy import VERIFY_DELAY_AFTER_READ, VERIFY_DELAY_BEFORE_READ
from memtrace.transport import Headers, Request, Response, TransportError
from memtrace_transports.memory import FakeMemtrace, ManualClock

TIMEOUT = 5.0
VERIFYING = VERIFY_DELAY_BEFORE_READ + VERIFY_DELAY_AFTER_READ

# ---- faults ---------------------------------------------------------------------------------------------------------

Forward = Callable[[Request], Response]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request; `does` may forward it, and answers or raises in the server's place."""

    name: str
    words: str
    does: Callable[[Forward, Request], Response]


def _lost(cause, *, maybe_sent: bool, applied: bool = False) -> Callable[[Forward, Request], Response]:
    def does(forward, request):
        if applied:
            forward(request)
        if cause == "timeout":
            request.context.clock.sleep(TIMEOUT)
        raise TransportError("broken by the test", cause=cause, maybe_sent=maybe_sent)

    return does


def _answered(
    status: int, text: str, *, applied: bool = False, **headers: str
) -> Callable[[Forward, Request], Response]:
    def does(forward, request):
        answer = forward(request) if applied else None
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if answer is not None:
            fields["date"] = answer.headers["date"]
        return Response(status, Headers(fields), b'{"error":"%s"}' % text.encode())

    return does


def _garbled(forward, request):
    answer = forward(request)
    return replace(answer, body=answer.body[: len(answer.body) // 2] or b"?")


FAULTS = (
    Fault("refused", "Connection refused", _lost("connect", maybe_sent=False)),
    Fault("not_sent", "No free connection in time, or no such host", _lost("timeout", maybe_sent=False)),
    Fault("reset_before", "The connection breaks, nothing was applied", _lost("reset", maybe_sent=True)),
    Fault("reset_after", "The connection breaks after it was applied", _lost("reset", maybe_sent=True, applied=True)),
    Fault("timeout_after", "No response in time, it was applied", _lost("timeout", maybe_sent=True, applied=True)),
    Fault("truncated", "The response is cut short", _lost("protocol", maybe_sent=True, applied=True)),
    Fault("garbled", "The response cannot be read", _garbled),
    Fault("502_before", "502, nothing was applied", _answered(502, "bad gateway")),
    Fault("502_after", "502 after it was applied", _answered(502, "bad gateway", applied=True)),
    Fault("503", "503 of a proxy or a busy server", _answered(503, "service unavailable")),
    Fault(
        "503_no_arc", "503, the organisation has no storage", _answered(503, "no arc instance configured for this org")
    ),
    Fault("504", "504 after it was applied", _answered(504, "gateway time-out", applied=True)),
    Fault("429_short", "429 with Retry-After: 2", _answered(429, "slow down", retry_after="2")),
    Fault("429_long", "429 with Retry-After: 3600", _answered(429, "slow down", retry_after="3600")),
    Fault(
        "500_storage",
        "500, the storage failed",
        _answered(500, "failed to query memories: failed to query Arc: dial tcp: connect: connection refused"),
    ),
    Fault(
        "500_argument", "500 for a bad argument", _answered(500, "invalid agent_id: invalid ID format: must be short")
    ),
    Fault("401", "401", _answered(401, "invalid API key")),
    Fault("404", "404", _answered(404, "memory not found")),
    Fault("409", "409", _answered(409, "duplicate memory")),
)


class Once:
    """A blocking transport to a fake server: the first request of this operation meets a fault, and no other one does."""

    def __init__(self, fake: FakeMemtrace, fault: Fault, operation: str) -> None:
        self._fake, self._fault, self._operation = fake, fault, operation
        self.is_left = True

    def send(self, request: Request) -> Response:
        if self.is_left and request.operation == self._operation:
            self.is_left = False
            return self._fault.does(self._fake.handle, request)
        return self._fake.handle(request)

    def close(self) -> None:
        pass


class AsyncOnce(Once):
    """The same, awaiting."""

    async def send(self, request: Request) -> Response:
        return super().send(request)

    async def close(self) -> None:
        pass


# ---- calls ----------------------------------------------------------------------------------------------------------


class World:
    """A fake server with the real one's delays on a clock that stands still, with an agent, a session and a memory."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fake = FakeMemtrace(clock=self.clock, visibility="server")
        self.agent_id = self.fake.seed_agent("default", "bot")
        self.loose_agent_id = self.fake.seed_agent("default", "loose bot")
        self.session_id = self.fake.seed_session("default", self.agent_id)
        self.fake.seed("default", [{"agent_id": "bot", "content": "seeded", "age_s": 60}])
        self.key = self.fake.organisation().api_key
        self.policy = RetryPolicy(jitter=lambda: 1.0)

    @property
    def rows(self) -> int:
        """How many memories there are besides the seeded one."""
        self.fake.flush()
        return self.fake._engine.counts(self.fake._state("default"), "bot").total - 1

    @property
    def agents(self) -> int:
        return sum(agent.name == "new bot" for agent in self._registry.agents())

    @property
    def deleted(self) -> int:
        return int(not self._registry.has_agent(self.loose_agent_id))

    @property
    def sessions(self) -> int:
        return len(self._registry.sessions()) - 1

    @property
    def updated(self) -> int:
        session = self._registry.find_session(self.session_id)
        return int(session.updated != session.created)

    @property
    def nothing(self) -> int:
        return 0

    @property
    def _registry(self):
        return self.fake._state("default").registry


@dataclass(frozen=True)
class Call:
    """One call of a client, and what of the world says how often it was applied; `whole` is what once comes to."""

    name: str
    words: str
    operation: str
    makes: Callable[..., object]
    effect: str
    whole: int = 1


CALLS = (
    Call(
        "add",
        '`memories.add`, `dedup="server"`',
        "memories.add",
        lambda c, w: c.with_options(dedup="server").memories.add(agent_id="bot", content="tea"),
        "rows",
    ),
    Call(
        "add_per_call",
        "`memories.add`",
        "memories.add",
        lambda c, w: c.memories.add(agent_id="bot", content="tea"),
        "rows",
    ),
    Call(
        "add_own_key",
        "`memories.add`, your own key",
        "memories.add",
        lambda c, w: c.memories.add(agent_id="bot", content="tea", dedup_key="order-7"),
        "rows",
    ),
    Call(
        "add_many",
        "`memories.add_many`",
        "memories.add_many",
        lambda c, w: c.memories.add_many([AddMemoryRequest(agent_id="bot", content=text) for text in ("tea", "milk")]),
        "rows",
        2,
    ),
    Call("list", "reads", "memories.list", lambda c, w: c.memories.list(agent_id="bot"), "nothing", 0),
    Call("register", "`agents.register`", "agents.register", lambda c, w: c.agents.register(name="new bot"), "agents"),
    Call("delete", "`agents.delete`", "agents.delete", lambda c, w: c.agents.delete(w.loose_agent_id), "deleted"),
    Call(
        "create",
        "`sessions.create`",
        "sessions.create",
        lambda c, w: c.sessions.create(agent_id=w.agent_id),
        "sessions",
    ),
    Call(
        "update",
        "`sessions.update`",
        "sessions.update",
        lambda c, w: c.sessions.update(w.session_id, metadata={"a": 1}),
        "updated",
    ),
    Call("close", "`sessions.close`", "sessions.close", lambda c, w: c.sessions.close(w.session_id), "updated"),
)


# ---- what happens ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ending:
    """How a call ended: `error` is the name of what was raised, "" where it gave its result."""

    error: str
    maybe_applied: bool
    attempts: int
    seconds: float

    @property
    def word(self) -> str:
        """What the cell says: unknown, or the error of a call that was surely not applied, or how it was done."""
        if self.error:
            return "unknown" if self.maybe_applied else f"`{self.error}`"
        if self.seconds % TIMEOUT == VERIFYING:
            return "verified"
        return "done" if self.attempts == 1 else "retried"


def ending(call: Call, client, world: World, watch: list[int]) -> Ending:
    """Make the call; `watch` gets the number of its attempts."""
    began = world.clock.monotonic()
    error = None
    try:
        outcome = call.makes(client, world)
    except MemtraceError as raised:
        error = raised
    else:
        if call.name == "add_many":
            (error,) = {each.error for each in outcome}  # one request, one fate
    seconds = round(world.clock.monotonic() - began, 3)
    if error is None:
        return Ending("", maybe_applied=False, attempts=watch[0], seconds=seconds)
    return Ending(type(error).__name__, error.maybe_applied, watch[0], seconds)


def identifier(fault: Fault, call: Call) -> str:
    """The id of the test of one cell."""
    return f"{fault.name}-{call.name}"


def counting(operation: str, watch: list[int]):
    """An attempt middleware that counts the attempts of this operation in `watch`."""

    def count(request, call_next):
        watch[0] += request.operation == operation
        return (yield from call_next(request))

    return count


def _cells(adds: str, *, reads: str = "retried", agents: str = "retried", create: str = "unknown") -> dict[str, str]:
    """By call: one cell for all that add memories, one for agents and what sessions repeat, one for `sessions.create`."""
    return {
        **dict.fromkeys(("add", "add_per_call", "add_own_key", "add_many"), adds),
        "list": reads,
        **dict.fromkeys(("register", "delete"), agents),
        "create": create,
        **dict.fromkeys(("update", "close"), agents),
    }


def _everywhere(cell: str) -> dict[str, str]:
    return _cells(cell, reads=cell, agents=cell, create=cell)


EXPECTED: dict[str, dict[str, str]] = {
    "refused": _everywhere("retried"),
    "not_sent": _everywhere("retried"),
    "reset_before": _cells("verified"),
    "reset_after": _cells("verified"),
    "timeout_after": _cells("verified"),
    "truncated": _cells("verified"),
    "garbled": _cells("verified"),
    "502_before": _cells("verified"),
    "502_after": _cells("verified"),
    "503": _everywhere("retried"),
    "503_no_arc": _everywhere("`NoArcInstanceError`"),
    "504": _cells("verified"),
    "429_short": _everywhere("retried"),
    "429_long": _everywhere("`RateLimitError`"),
    "500_storage": _cells("unknown", agents="unknown"),
    "500_argument": _everywhere("`InvalidRequestError`"),
    "401": _everywhere("`AuthenticationError`"),
    "404": _everywhere("`NotFoundError`"),
    "409": _everywhere("`ConflictError`"),
}
"""What each cell says, by fault and call."""
