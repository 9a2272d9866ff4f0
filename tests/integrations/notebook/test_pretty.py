"""What rich and IPython print of a model: its fields that are set, with long texts and lists cut."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from IPython.lib.pretty import pretty as in_ipython
from rich.console import Console

from memtrace import AddMemoryRequest, Agent, MemoryList, SessionContext
from memtrace._support.pretty import ITEMS_CUT, TEXT_CUT
from tests.integrations.notebook.test_tables import memory


def in_rich(shown):
    console = Console(file=io.StringIO(), width=400, color_system=None)
    console.print(shown)
    return console.file.getvalue()


@pytest.fixture(params=[in_rich, in_ipython])
def printed(request):
    """A function that gives what is printed, in one line."""
    return lambda shown: re.sub(r"\s+", " ", request.param(shown))


def test_a_long_content_is_cut_and_the_rest_is_counted(printed):
    shown = printed(memory("x" * TEXT_CUT + "y" * 1234))
    assert "x… (1,234 more)'" in shown
    assert "y" not in shown.partition("content=")[2].partition("x")[2].partition("…")[0]
    assert printed(memory("x" * TEXT_CUT)).count("…") == 0


def test_fields_that_are_not_set_are_left_out_and_new_ones_are_there(printed):
    agent = Agent(id="a1", org_id="o", name="bot", created_at="2026-01-01T00:00:00Z", colour="blue")
    shown = printed(agent)
    assert "description" not in shown
    assert "colour='blue'" in shown
    assert "Agent(" in shown


def test_a_list_is_cut_and_its_rows_as_well(printed):
    rows = [memory(f"{number} " + "x" * 500) for number in range(ITEMS_CUT + 3)]
    shown = printed(MemoryList(memories=rows, count=len(rows), has_more=False))
    assert shown.count("Memory(") == ITEMS_CUT
    assert "… 3 more" in shown
    assert shown.count("x… (30") == ITEMS_CUT
    assert "count=13" in shown


def test_metadata_is_cut_in_width_and_depth(printed):
    deep: object = "deep"
    for _ in range(900):
        deep = [deep]
    wide = {f"key {number}": number for number in range(ITEMS_CUT + 1)}
    shown = printed(memory(metadata={"deep": deep, "wide": wide, "long": ["z" * 300]}))
    assert "'deep'" in shown.partition("metadata")[2]
    assert "[[[…]]]" in shown.replace(" ", "")
    assert "… 1 more" in shown
    assert "z… (100 more)" in shown


@pytest.mark.parametrize(
    "model",
    [
        AddMemoryRequest(agent_id="a", content="c" * 999),
        SessionContext(session_id="s", context="c" * 999, memory_count=1),
    ],
)
def test_requests_and_contexts_are_cut_too(printed, model):
    assert f"{type(model).__name__}(" in printed(model)
    assert "c… (799 more)'" in printed(model)


def test_neither_package_is_imported():
    code = "import sys, memtrace; memtrace.Memory; print([n for n in ('rich', 'IPython') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
