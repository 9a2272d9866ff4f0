"""Faults made to fit the rules of retry: each ends in what is true, or in "unknown"."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate

import pytest

from memtrace import AddMemoryRequest, APIConnectionError, ConflictError, Memtrace, MemtraceError, RetryPolicy
from memtrace.transport import Headers, Response, TransportError
from memtrace_transports.memory import FakeMemtrace, ManualClock

HOUR = 3600.0


def lost():
    return TransportError("broken by the test", cause="reset", maybe_sent=True)


class Scripted:
    """A blocking transport to `fake`: one step a request, by its number from 1; `every` sees every answer.

    A step is ``before`` or ``after`` (the connection breaks before or after it was applied), or a function of the fake's
    `handle` and the request.
    """

    def __init__(self, fake, steps, every=lambda request, answer: answer):
        self._fake, self._steps, self._every = fake, dict(steps), every
        self.sent = []

    def send(self, request):
        self.sent.append(request)
        step = self._steps.pop(len(self.sent), None)
        if step == "before":
            raise lost()
        answer = self._fake.handle(request) if step is None or step == "after" else step(self._fake.handle, request)
        if step == "after":
            raise lost()
        return self._every(request, answer)

    def close(self):
        pass


class Skewed:
    """A clock beside another one, `by` seconds ahead on the wall."""

    def __init__(self, clock, by):
        self._clock, self._by = clock, by
        self.monotonic, self.sleep, self.async_sleep = clock.monotonic, clock.sleep, clock.async_sleep

    def wall(self):
        return self._clock.wall() + self._by


class World:
    def __init__(self, steps, *, every=lambda request, answer: answer, skew=0.0, **settings):
        self.clock = ManualClock()
        self.fake = FakeMemtrace(clock=self.clock, visibility="server")
        self.transport = Scripted(self.fake, steps, every)
        settings = {"retry": RetryPolicy(jitter=lambda: 1.0), "dedup": "server", **settings}
        self.client = Memtrace(
            "memory://",
            self.fake.organisation().api_key,
            transport=self.transport,
            clock=Skewed(self.clock, skew),
            **settings,
        )

    def texts(self):
        self.fake.flush()
        return sorted(memory.content for memory in self.fake.client().memories.list(limit=1000).memories)

    @property
    def operations(self):
        return [request.operation for request in self.transport.sent]


def undated(request, answer):
    return replace(answer, headers=Headers([pair for pair in answer.headers.multi_items if pair[0].lower() != "date"]))


def redated(text):
    def every(request, answer):
        return replace(answer, headers=answer.headers.set("date", text))

    return every


def answering(status, *, applied=False, body=b"{}", **headers):
    def step(handle, request):
        if applied:
            handle(request)
        return Response(status, Headers({name.replace("_", "-"): value for name, value in headers.items()}), body)

    return step


def garbling(handle, request):
    answer = handle(request)
    return replace(answer, body=answer.body[: len(answer.body) // 2])


# ---- clocks and dates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [-HOUR, HOUR], ids=["an hour behind", "an hour ahead"])
@pytest.mark.parametrize("call", ["add", "register"])
def test_a_client_whose_clock_is_off_recognises_its_own_by_the_servers_clock(skew, call):
    world = World({1: "after"}, skew=skew)
    if call == "add":
        assert world.client.remember("bot", "tea").content == "tea"
        assert world.texts() == ["tea"]
    else:
        assert world.client.agents.register(name="bot").name == "bot"


@pytest.mark.parametrize("ahead", [-HOUR, HOUR], ids=["an hour behind", "an hour ahead"])
@pytest.mark.parametrize("call", ["add", "register"])
def test_the_date_of_a_proxys_answer_is_not_the_servers(ahead, call):
    wrong = formatdate(ManualClock().wall() + ahead, usegmt=True)
    world = World({1: answering(502, applied=True, date=wrong)})
    if call == "add":
        assert world.client.remember("bot", "tea").content == "tea"
        assert world.texts() == ["tea"]
    else:
        assert world.client.agents.register(name="bot").name == "bot"


@pytest.mark.parametrize("skew", [-HOUR, 0.0, HOUR], ids=["an hour behind", "right", "an hour ahead"])
@pytest.mark.parametrize("dedup", ["server", "per_call"])
def test_without_dates_a_client_never_says_that_nothing_was_stored_by_its_own_clock_alone(skew, dedup):
    world = World({1: "after"}, every=undated, skew=skew, dedup=dedup)
    try:
        world.client.remember("bot", "tea")
    except MemtraceError as error:
        assert error.maybe_applied
        assert error.hint
    assert world.texts() == ["tea"]


@pytest.mark.parametrize("skew", [-HOUR, 0.0, HOUR], ids=["an hour behind", "right", "an hour ahead"])
def test_without_dates_a_registration_is_not_denied_by_the_clients_own_clock_alone(skew):
    world = World({1: "after"}, every=undated, skew=skew)
    try:
        world.client.agents.register(name="bot")
    except MemtraceError as error:
        assert error.maybe_applied


@pytest.mark.parametrize(
    "date",
    [
        "no date",
        "",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
    ],
)
@pytest.mark.parametrize("header", ["date", "retry-after"])
def test_a_header_that_is_no_date_is_as_none(date, header):
    fault = answering(503, **{header.replace("-", "_"): date})
    world = World({1: fault, 2: "after"}, every=redated(date) if header == "date" else lambda request, answer: answer)
    try:
        world.client.remember("bot", "tea")
    except MemtraceError as error:
        assert error.maybe_applied or world.texts() == []  # what is stored is not denied
    else:
        assert world.texts() == ["tea"]


# ---- answers --------------------------------------------------------------------------------------------------------


def test_a_garbled_answer_after_a_lost_one_verifies_again():
    world = World({1: "before", 4: garbling})
    assert world.client.remember("bot", "tea").content == "tea"
    assert world.texts() == ["tea"]


def test_a_garbled_answer_to_the_repeat_of_a_batch_verifies_again():
    world = World({1: "before", 4: garbling})
    result = world.client.memories.add_many([AddMemoryRequest(agent_id="bot", content=text) for text in ("a", "b")])
    assert [outcome.status for outcome in result] == ["stored", "stored"]
    assert world.operations.count("memories.add_many") == 2
    assert world.texts() == ["a", "b"]


def test_a_batch_with_duplicates_inside_is_told_as_it_was_stored():
    world = World({1: "after"})
    world.fake.seed("default", [{"agent_id": "bot", "content": "old", "age_s": 600}])
    result = world.client.memories.add_many(
        [AddMemoryRequest(agent_id="bot", content=text) for text in ("same", "old", "same", "other")]
    )
    assert [outcome.status for outcome in result] == ["stored", "duplicate", "stored", "stored"]
    assert len({outcome.memory.time for outcome in result if outcome.memory}) == 3
    assert world.texts() == ["old", "other", "same", "same"]


def test_a_batch_that_was_stored_half_is_completed_by_its_repeat():
    def half(handle, request):
        handle(replace(request, body=b'{"memories":[' + request.body[13:].partition(b"},{")[0] + b"}]}"))
        raise lost()

    world = World({1: half})
    result = world.client.memories.add_many([AddMemoryRequest(agent_id="bot", content=text) for text in "abc"])
    assert [outcome.status for outcome in result] == ["stored"] * 3
    assert [outcome.memory.content for outcome in result] == ["a", "b", "c"]
    assert world.texts() == ["a", "b", "c"]


def test_a_refused_item_after_a_lost_attempt_leaves_the_items_before_it_stored_once():
    def lost_refusal(handle, request):
        parts = request.body[13:-2].split(b"},{")
        handle(replace(request, body=b'{"memories":[' + b"},{".join(parts[:2]) + b"}]}"))
        raise lost()

    refusing = answering(
        500, body=b'{"error":"failed to create memory 0: invalid tag \'x y\': invalid tag format: none"}'
    )
    world = World({1: lost_refusal, 4: refusing})
    result = world.client.memories.add_many([AddMemoryRequest(agent_id="bot", content=text) for text in "abcd"])
    assert [outcome.status for outcome in result] == ["stored", "stored", "failed", "failed"]
    assert world.texts() == ["a", "b"]


# ---- races ----------------------------------------------------------------------------------------------------------


def test_a_conflict_with_what_somebody_stored_before_is_a_conflict_and_nothing_was_applied():
    world = World({1: "before"})
    world.fake.seed("default", [{"agent_id": "bot", "content": "tea", "age_s": 600}])
    with pytest.raises(ConflictError) as caught:
        world.client.remember("bot", "tea")
    assert not caught.value.maybe_applied
    assert world.texts() == ["tea"]


def test_a_key_that_somebody_else_took_meanwhile_for_another_memory_is_a_conflict():
    def taken(handle, request):
        world.fake.client().memories.add(agent_id="bot", content="another", dedup_key="k")
        raise lost()

    world = World({1: taken})
    with pytest.raises(ConflictError) as caught:
        world.client.memories.add(agent_id="bot", content="tea", dedup_key="k")
    assert not caught.value.maybe_applied
    assert world.texts() == ["another"]


def test_an_agent_that_somebody_else_registered_meanwhile_otherwise_is_a_conflict():
    def taken(handle, request):
        world.fake.client().agents.register(name="bot", description="another")
        raise lost()

    world = World({1: taken})
    with pytest.raises(ConflictError) as caught:
        world.client.agents.register(name="bot")
    assert not caught.value.maybe_applied


def test_a_conflict_that_cannot_be_looked_into_is_unknown():
    down = answering(500, body=b'{"error":"failed to query memories: failed to query Arc: dial tcp"}')

    def taken(handle, request):
        world.fake.client().remember("bot", "tea")
        return handle(request)

    world = World({1: "before", 4: taken, 5: down, 6: down, 7: down})
    world.fake.organisation(visibility="immediate")
    with pytest.raises(MemtraceError) as caught:
        world.client.remember("bot", "tea")
    assert caught.value.maybe_applied
    assert caught.value.request.operation == "memories.add"
    assert "look again later" in caught.value.hint
    assert world.texts() == ["tea"]


# ---- storage --------------------------------------------------------------------------------------------------------


def test_storage_that_is_down_when_verifying_ends_the_call_as_unknown_and_stores_once():
    def applied_then_down(handle, request):
        handle(request)
        world.fake.set_storage("default", "down")
        raise lost()

    world = World({1: applied_then_down})
    with pytest.raises(APIConnectionError) as caught:
        world.client.remember("bot", "tea")
    assert caught.value.maybe_applied
    world.fake.set_storage("default", "up")
    assert world.operations.count("memories.add") == 1
    assert world.texts() == ["tea"]


def test_storage_that_comes_back_while_verifying_lets_the_repeat_be_recognised():
    def applied_while_down(handle, request):
        world.fake.set_storage("default", "down")
        handle(request)
        raise lost()

    def up(handle, request):
        answer = handle(request)
        world.fake.set_storage("default", "up")
        return answer

    world = World({1: applied_while_down, 2: up})
    assert world.client.remember("bot", "tea").content == "tea"
    assert world.texts() == ["tea"]


@pytest.mark.parametrize("step", ["after", "before"])
@pytest.mark.parametrize("when", [3, 4], ids=["the look", "the repeat"])
def test_storage_that_goes_down_between_verifying_and_what_follows_stores_nothing_twice(step, when):
    def down(handle, request):
        world.fake.set_storage("default", "down")
        return handle(request)

    world = World({1: step, when: down})
    try:
        world.client.remember("bot", "tea")
    except MemtraceError as error:
        assert (error.maybe_applied, when) == (True, 3)
    world.fake.set_storage("default", "up")
    assert world.texts() == (["tea"] if step == "after" or when == 4 else [])


def test_a_request_that_is_delivered_after_its_repeat_stores_twice_which_nothing_can_prevent():
    held = []

    def hold(handle, request):
        held.append(request)
        raise lost()

    world = World({1: hold})
    world.client.remember("bot", "tea")
    world.fake.handle(held[0])
    assert world.texts() == ["tea", "tea"]


@pytest.mark.parametrize("verify", ["wait", "read"])
def test_a_request_that_is_delivered_before_verifying_is_over_is_recognised(verify):
    held = []

    def hold(handle, request):
        held.append(request)
        raise lost()

    def late(handle, request):
        handle(held[0])
        return handle(request)

    world = World({1: hold, 2: late}, retry=RetryPolicy(verify_before_retry=verify))
    world.client.remember("bot", "tea")
    assert world.texts() == ["tea"]


# ---- deadlines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deadline", [0.5, 1.4, 1.51, 1.76, 2.0, 3.0])
@pytest.mark.parametrize("applied", [False, True])
def test_a_deadline_anywhere_in_a_call_ends_it_in_time_and_in_the_truth(deadline, applied):
    def slow(handle, request):
        if applied:
            handle(request)
        world.clock.sleep(min(0.25, request.timeout))
        raise lost()

    world = World({1: slow, 3: slow}, deadline=deadline)
    began = world.clock.monotonic()
    stored = False
    try:
        stored = bool(world.client.remember("bot", "tea"))
    except MemtraceError as error:
        assert error.maybe_applied
    assert world.clock.monotonic() - began <= deadline
    assert len(world.texts()) in ((1,) if stored or applied else (0, 1))
