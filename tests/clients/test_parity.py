from __future__ import annotations

import inspect
import re

import pytest

from memtrace import AsyncMemtrace, AsyncWriteBuffer, Memtrace, WriteBuffer
from memtrace._runtime.dispatch import AsyncDispatcher, Dispatcher
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
    "functions",  # gives functions, which are the async ones there
}


def asynchronous(text):
    """A sync annotation or docstring, as the async face has to say it."""
    kinds = "|".join(sync.__name__ for sync, _ in PAIRS) + "|Transport|ToolFunction"
    text = re.sub(rf"\b({kinds})\b", r"Async\1", text)
    text = re.sub(r"\bGenerator\[([\w.]+), None, None\]", r"AsyncGenerator[\1, None]", text)
    text = text.replace("_write_buffer.", "_async_write_buffer.")
    return re.sub(r"(httpx2?)\.Client\b", r"\1.AsyncClient", text)


def without_example(text):
    """A docstring without its example, which shows how each face is used."""
    return (text or "").partition("Example:")[0]


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


def methods(sync, async_):
    """The functions of both, by the sync one's name."""
    names = (*sorted(name for name in vars(sync) if not name.startswith("_")), "__init__", "__enter__", "__exit__")
    there = {"__enter__": "__aenter__", "__exit__": "__aexit__"}
    return {
        name: (vars(sync)[name], vars(async_)[there.get(name, name)])
        for name in names
        if inspect.isfunction(vars(sync).get(name))
    }


@pytest.mark.parametrize(("sync", "async_"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_faces_take_and_return_the_same(sync, async_):
    expected, found = {}, {}
    for name, (here, there) in methods(sync, async_).items():
        parameters, returned = signature(here)
        awaited = name not in PLAIN_IN_BOTH and name != "__init__"
        as_async = [(n, kind, default, asynchronous(annotation)) for n, kind, default, annotation in parameters]
        expected[name] = (as_async, asynchronous(returned), awaited)
        found[name] = (*signature(there), inspect.iscoroutinefunction(there))
    assert found == expected


@pytest.mark.parametrize(
    ("sync", "async_"),
    [pair for pair in PAIRS if pair[0] not in (HttpxTransport, MemoryTransport)],
    ids=lambda kind: kind.__name__,
)
def test_both_faces_document_the_same(sync, async_):
    both = methods(sync, async_)
    documented = {name: without_example(here.__doc__) for name, (here, _) in both.items()}
    assert {name: without_example(there.__doc__) for name, (_, there) in both.items()} == documented
    assert [name for name, text in documented.items() if not text and not name.startswith("__")] == []


def test_the_flat_methods_delegate_in_one_line():
    for kind in (Memtrace, AsyncMemtrace):
        marked = {name for name, f in vars(kind).items() if "Method of 0.2.0" in (inspect.getdoc(f) or "")}
        flat = [vars(kind)[name] for name in (marked | {"remember", "decide"}) - {"add_memories"}]
        assert len(flat) == 17
        for function in flat:
            body = inspect.getsource(function).split('"""')[-1].strip()
            assert "\n" not in body, body
            assert re.match(r"(return )?(await )?self\.(_memories|_agents|_sessions|add_memory|list_memories)\b", body)
