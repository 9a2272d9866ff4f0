"""What a memory says stands in no repr of the SDK's own objects, which logs, debuggers and crash reporters keep.

The models show it: they are what a caller gives and gets.
"""

from __future__ import annotations

import gc
from functools import cache

import pytest
from pydantic import BaseModel

from memtrace import AddMemoryRequest, AsyncMemtrace, ConfigurationError, Memtrace
from memtrace.integrations.tools import MemoryTools
from memtrace_transports import FakeMemtrace

PLANTED = "planted-b3f2c1"
OF_A_TEST = ("memtrace.testing", "memtrace_transports._engine", "memtrace_transports.memory")  # the fake is a server


@cache
def is_watched(kind):
    module = str(getattr(kind, "__module__", ""))  # some have a descriptor there
    if not module.startswith(("memtrace.", "memtrace_transports.")) or module.startswith(OF_A_TEST):
        return False
    return not issubclass(kind, BaseModel)


def telling():
    """The objects of the SDK, as they are now, whose repr holds the content."""
    watched = [each for each in gc.get_objects() if is_watched(type(each))]
    return {f"{type(each).__module__}.{type(each).__qualname__}" for each in watched if PLANTED in repr(each)}


@pytest.fixture
def older_objects_left_out():
    """What stood before the test is not looked through again and again: a worker holds a million objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.usefixtures("older_objects_left_out")
def test_no_object_of_a_call_shows_a_content():
    seen = set()

    def watching(request, call_next):
        seen.update(telling())
        response = yield from call_next(request)
        seen.update(telling())
        return response

    fake = FakeMemtrace()
    for of_attempts in ("middleware", "attempt_middleware"):
        client = fake.client(**{of_attempts: [watching]})
        memory = client.memories.add(
            agent_id="a", content=f"{PLANTED} one", metadata={"k": PLANTED}, dedup_key=of_attempts
        )
        client.memories.filter(content_contains=PLANTED)
        result = client.memories.add_many(
            [AddMemoryRequest(agent_id="a", content=f"{PLANTED} {of_attempts} {n}", session_id="s") for n in range(3)]
        )
        assert PLANTED not in repr(result)
        with client.memories.buffered() as buffer:
            future = buffer.add(agent_id="a", content=f"{PLANTED} {of_attempts} buffered")
            assert PLANTED not in repr((buffer, future))
        client.memories.wait_until_visible(memory)
        prompt = client.sessions.prompt_context("s", max_tokens=500)
        tools = MemoryTools(client, agent_id="a")
        told = tools.call("recall", {})
        assert PLANTED in prompt.text
        assert PLANTED in told.text
        seen.update(telling())
    gc.unfreeze()
    assert seen | telling() == set()


def test_no_record_of_an_integration_shows_a_content():
    from memtrace.context._selection import RenderedMemory
    from memtrace.integrations._history import HistoryItem
    from memtrace.integrations._records import Record

    with Memtrace("memory://", "any key") as client:
        memory = client.memories.add(agent_id="a", content=PLANTED)
    for each in (
        RenderedMemory(memory, 0, (memory.time, memory.time), None, None, None, 0, PLANTED, PLANTED, 1, 1, 0),
        HistoryItem(PLANTED, PLANTED, "message"),
        Record("item", {"content": PLANTED}, "key", 1, memory),
    ):
        assert PLANTED not in repr(each)
        assert type(each).__name__ in repr(each)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Memtrace, {"base_url": "gopher://x"}),
        (AsyncMemtrace, {"base_url": "gopher://x"}),
        (FakeMemtrace, {"write_batch_size": "many"}),
    ],
)
def test_what_could_not_be_made_has_a_repr_for_debuggers(kind, settings):
    with pytest.raises((ConfigurationError, ValueError)) as raised:
        kind(**settings)
    frame = next(entry.frame for entry in raised.traceback if isinstance(entry.frame.f_locals.get("self"), kind))
    assert repr(frame.f_locals["self"]) == f"<{kind.__name__}, not made>"
