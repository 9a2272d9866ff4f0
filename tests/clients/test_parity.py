from __future__ import annotations

import inspect
import re

import pytest

from memtrace import AsyncMemtrace, AsyncWriteBuffer, Memtrace, WriteBuffer
from memtrace.dispatch import AsyncDispatcher, Dispatcher
from memtrace.integrations.tools import AsyncMemoryTools, MemoryTools
from memtrace.resources import (
    ActiveSession,
    Agents,
    AsyncActiveSession,
    AsyncAgents,
    AsyncMemories,
    AsyncSessions,
    Memories,
    Sessions,
)
from memtrace_transports import AsyncHttpxTransport, AsyncMemoryTransport, HttpxTransport, MemoryTransport

PAIRS = [
    (Memtrace, AsyncMemtrace),
    (Memories, AsyncMemories),
    (Agents, AsyncAgents),
    (Sessions, AsyncSessions),
    (ActiveSession, AsyncActiveSession),
    (WriteBuffer, AsyncWriteBuffer),
    (Dispatcher, AsyncDispatcher),
    (MemoryTools, AsyncMemoryTools),
    (HttpxTransport, AsyncHttpxTransport),
    (MemoryTransport, AsyncMemoryTransport),
]
PLAIN_IN_BOTH = {
    "with_options",
    "open",
    "buffered",
    "copy",
    "fake",
    "stream",
    "iter",
    "memories_iter",
    "add_iter",
    "schemas",
}


def asynchronous(text):
    """A sync annotation or docstring, as the async face has to say it."""
    kinds = "|".join(sync.__name__ for sync, _ in PAIRS) + "|Transport"
    text = re.sub(rf"\b({kinds})\b", r"Async\1", text)
    text = re.sub(r"\bGenerator\[(\w+), None, None\]", r"AsyncGenerator[\1, None]", text)
    return re.sub(r"(httpx2?)\.Client\b", r"\1.AsyncClient", text)


def signature(function):
    found = inspect.signature(function)
    return [(p.name, p.kind, p.default, str(p.annotation)) for p in found.parameters.values()], str(
        found.return_annotation
    )


@pytest.mark.parametrize(("sync", "async_"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_faces_have_the_same_names(sync, async_):
    names = {{"__aenter__": "__enter__", "__aexit__": "__exit__"}.get(name, name) for name in vars(async_)}
    assert {name for name in vars(sync) if not name.startswith("_") or name in ("__enter__", "__exit__")} == {
        name for name in names if not name.startswith("_") or name in ("__enter__", "__exit__")
    }


METHODS = [
    (sync, async_, name)
    for sync, async_ in PAIRS
    for name in (*sorted(name for name in vars(sync) if not name.startswith("_")), "__init__", "__enter__", "__exit__")
    if inspect.isfunction(vars(sync).get(name))
]


@pytest.mark.parametrize(("sync", "async_", "name"), METHODS, ids=lambda part: getattr(part, "__name__", part))
def test_both_faces_take_and_return_the_same(sync, async_, name):
    there = {"__enter__": "__aenter__", "__exit__": "__aexit__"}.get(name, name)
    parameters, returned = signature(vars(sync)[name])
    expected = [(n, kind, default, asynchronous(annotation)) for n, kind, default, annotation in parameters]
    assert signature(vars(async_)[there]) == (expected, asynchronous(returned))
    assert inspect.iscoroutinefunction(vars(async_)[there]) == (name not in PLAIN_IN_BOTH and name != "__init__")


@pytest.mark.parametrize(
    ("sync", "async_", "name"),
    [row for row in METHODS if row[0] not in (HttpxTransport, MemoryTransport)],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_both_faces_document_the_same(sync, async_, name):
    there = {"__enter__": "__aenter__", "__exit__": "__aexit__"}.get(name, name)
    documented = vars(sync)[name].__doc__
    if not name.startswith("__"):
        assert documented
    assert vars(async_)[there].__doc__ == documented


def test_the_flat_methods_delegate_in_one_line():
    for kind in (Memtrace, AsyncMemtrace):
        flat = [f for name, f in vars(kind).items() if inspect.isfunction(f) and "; as `" in (f.__doc__ or "")]
        assert len(flat) == 18
        for function in flat:
            body = inspect.getsource(function).split('"""')[-1].strip()
            assert "\n" not in body, body
            assert re.match(r"(return )?(await )?self\.(_memories|_agents|_sessions|add_memory|list_memories)\b", body)
