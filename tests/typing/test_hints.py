"""What an editor shows of a client, and what a program can ask of annotations."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import typing
from types import FunctionType

import pytest

from memtrace import AsyncMemtrace, Memtrace
from memtrace._support.lazy_modules import LazyModule
from tests.docs import docstrings, pages

REFERENCE = docstrings.entries()
EARLIER = {  # of 0.2.0, beside the three words that agents use most
    "add_memories", "add_memory", "close_session", "create_session", "delete_agent", "get_agent", "get_agent_memories",
    "get_agent_stats", "get_session", "get_session_context", "get_session_memories", "list_agents", "list_memories",
    "list_sessions", "register_agent", "search_memories",
}  # fmt: skip


def annotated(entry):
    """What of an entry has annotations: a function, a property's function, a class and its constructor."""
    value = entry.value.fget if isinstance(entry.value, property) else entry.function or entry.value
    yield value
    constructor = vars(value).get("__init__") if isinstance(value, type) and entry.is_called else None
    if isinstance(constructor, FunctionType):
        yield constructor


def unresolved(value):
    try:
        typing.get_type_hints(value)
    except ModuleNotFoundError as error:  # an optional library that is not installed here
        return None if (error.name or "").partition(".")[0] not in ("memtrace", "memtrace_transports") else error
    except Exception as error:  # noqa: BLE001  # whatever it is, a caller gets it
        return error
    return None


def test_the_annotations_of_every_public_function_and_class_resolve():
    found = {entry.name: unresolved(value) for entry in REFERENCE for value in annotated(entry)}
    assert {name: error for name, error in found.items() if error is not None} == {}


def test_resolving_an_annotation_loads_what_it_names_and_an_import_does_not():
    code = (
        "import sys, typing\nfrom memtrace.resources import Memories\nprint('memtrace.ranking' in sys.modules)\n"
        "print(typing.get_type_hints(Memories.search)['return'].__name__, 'memtrace.ranking' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.splitlines() == ["False", "SearchHits True"]


def test_a_lazy_module_answers_no_question_of_inspection():
    assert not hasattr(LazyModule("no_such_module"), "__wrapped__")
    with pytest.raises(ModuleNotFoundError):
        LazyModule("no_such_module").name  # noqa: B018  # asking is what imports it


@pytest.mark.parametrize("kind", [Memtrace, AsyncMemtrace])
def test_completion_on_a_client_shows_at_most_30_names(kind):
    names = [name for name in dir(kind("memory://", "any key")) if not name.startswith("_")]
    assert len(names) <= 30
    assert set(names) >= EARLIER


@pytest.mark.parametrize("kind", [Memtrace, AsyncMemtrace])
def test_the_methods_of_0_2_0_are_marked_as_such(kind):
    marked = {name for name, value in vars(kind).items() if "Method of 0.2.0" in (inspect.getdoc(value) or "")}
    assert marked == EARLIER
    text = (pages.ROOT / "docs" / "reference" / "client.md").read_text(encoding="utf-8")
    listed = pages.section(text, "Methods of 0.2.0")
    assert set(re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE)) == EARLIER


def test_every_public_name_shows_what_it_is_for_on_hover():
    assert [entry.name for entry in REFERENCE if not entry.doc.partition("\n")[0]] == []
