"""The same commands to Anthropic's own tool, which keeps files in a folder: the same answers and the same errors."""

from __future__ import annotations

import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.anthropic_memory_tool.faces import Tool, fake_server
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

tools = Lazily("anthropic.lib.tools")

ROOT = "/memories"
PATHS = st.lists(st.sampled_from(["a", "b", ".c"]), min_size=1, max_size=3).map(
    lambda names: "/".join([ROOT, *names])
) | st.just(ROOT)
TEXTS = st.text(st.sampled_from("xy\n\r"), max_size=6)
COMMANDS = st.one_of(
    st.fixed_dictionaries(
        {"command": st.just("view"), "path": PATHS},
        optional={"view_range": st.tuples(st.just(1), st.sampled_from([-1, 1, 2, 9])).map(list)},
    ),
    st.fixed_dictionaries({"command": st.just("create"), "path": PATHS, "file_text": TEXTS}),
    st.fixed_dictionaries(
        {"command": st.just("str_replace"), "path": PATHS, "old_str": TEXTS.filter(bool), "new_str": TEXTS}
    ),
    st.fixed_dictionaries(
        {"command": st.just("insert"), "path": PATHS, "insert_line": st.integers(-1, 4), "insert_text": TEXTS}
    ),
    st.fixed_dictionaries({"command": st.just("delete"), "path": PATHS}),
    st.fixed_dictionaries({"command": st.just("rename"), "old_path": PATHS, "new_path": PATHS}),
)


def told_by(tool, command):
    """What the folder's tool answers; the system's own errors, which it lets through, count as errors without a text."""
    try:
        return tool.call(command), False
    except tools.ToolError as error:
        return error.content, True
    except OSError:
        return None, True


def without_sizes_of_directories(text):
    """The folder's tool tells what a directory takes on the disk, without what is in it."""
    if not text.startswith("Here're the files"):
        return text
    heading, itself, *rows = text.split("\n")
    return [heading, itself.split("\t")[1], *(row.split("\t")[1] if row.endswith("/") else row for row in rows)]


@given(st.lists(COMMANDS, max_size=15))
def test_the_answers_are_those_of_anthropics_own_tool(commands):
    files = pytest.importorskip("anthropic.tools.memory", reason="this version of the package has no tool of its own")
    ours = Tool(fake_server())
    with tempfile.TemporaryDirectory() as folder:
        theirs = files.BetaLocalFilesystemMemoryTool(folder)
        for command in commands:
            told, is_error = told_by(theirs, command)
            if is_error and told is None and command["command"] in {"create", "rename"}:
                break  # it may have made directories on the way
            mine, mine_is_error = ours.told(**command)
            assert mine_is_error == is_error, (command, told, mine)
            if told is None:
                continue
            if is_error and command["command"] == "rename":
                break  # as above
            assert without_sizes_of_directories(mine) == without_sizes_of_directories(told)
