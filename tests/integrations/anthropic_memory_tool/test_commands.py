"""What each command answers, by the texts of its documentation."""

import pytest

from memtrace import InvalidRequestError
from tests.integrations.anthropic_memory_tool.faces import Tool, fake_server
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

tools = Lazily("anthropic.lib.tools")

HEADING = "Here're the files and directories up to 2 levels deep in {}, excluding hidden items:"


def refused(tool, command, **fields):
    with pytest.raises(tools.ToolError) as caught:
        tool.call(command, **fields)
    return caught.value.content


# ---- view


def test_the_root_is_there_before_any_file(tool):
    assert tool.call("view", path="/memories") == HEADING.format("/memories") + "\n0B\t/memories"


def test_a_directory_lists_two_levels_with_sizes_and_without_hidden_names(tool):
    tool.create("/memories/notes/today.md", "x" * 1536)
    tool.create("/memories/notes/deep/er/unseen.md", "y" * 512)
    tool.create("/memories/notes.md")
    tool.create("/memories/.hidden/file", "z")
    assert tool.call("view", path="/memories/").split("\n") == [
        HEADING.format("/memories"),
        "2.0K\t/memories",
        "2K\t/memories/notes/",
        "512B\t/memories/notes/deep/",
        "1.5K\t/memories/notes/today.md",
        "0B\t/memories/notes.md",
    ]
    assert tool.call("view", path="/memories/notes/deep").split("\n")[1:] == [
        "512B\t/memories/notes/deep",
        "512B\t/memories/notes/deep/er/",
        "512B\t/memories/notes/deep/er/unseen.md",
    ]


@pytest.mark.parametrize(
    ("view_range", "shown"),
    [
        (None, "     1\tone\n     2\ttwo\n     3\t"),
        ([2, 3], "     2\ttwo\n     3\t"),
        ([2, -1], "     2\ttwo\n     3\t"),
        ([1, 1], "     1\tone"),
        ([0, 1], "     1\tone"),
        ([-5, 2], "     1\tone\n     2\ttwo"),
        ([3, 99], "     3\t"),
    ],
)
def test_a_file_is_shown_with_line_numbers(view_range, shown):
    tool = Tool(fake_server())
    tool.create("/memories/a.md", "one\ntwo\n")
    fields = {} if view_range is None else {"view_range": view_range}
    answer = tool.call("view", path="/memories/a.md", **fields)
    assert answer == f"Here's the content of /memories/a.md with line numbers:\n{shown}"


@pytest.mark.parametrize("view_range", [[4, 5], [3, 2], [1], [1, 2, 3], [], "1-2", [1, "x"], [1.5, 2], [1, 0], [1, -2]])
def test_a_range_of_lines_that_is_none_is_refused(view_range):
    tool = Tool(fake_server())
    tool.create("/memories/a.md", "one\ntwo\n")
    assert refused(tool, "view", path="/memories/a.md", view_range=view_range).startswith("Invalid `view_range`")


def test_viewing_what_is_not_there(tool):
    text = "The path /memories/nope does not exist. Please provide a valid path."
    assert refused(tool, "view", path="/memories/nope") == text


# ---- create


def test_creating(tool):
    assert tool.create("/memories/a.md", "tea") == "File created successfully at: /memories/a.md"
    assert tool.text("/memories/a.md") == "tea"


@pytest.mark.parametrize("text", ["", "\n", " ", "\r\n\t", "é😀\x00\u2028", '{"a": "\\u0000"}', "a" * 200 + "b"])
def test_every_text_comes_back_as_it_was(text):
    fake = fake_server()
    Tool(fake).create("/memories/a", text)
    assert Tool(fake).text("/memories/a") == text


def test_creating_never_overwrites(tool):
    tool.create("/memories/a", "old")
    assert refused(tool, "create", path="/memories/a", file_text="new") == "File /memories/a already exists"
    tool.create("/memories/d/f")
    assert refused(tool, "create", path="/memories/d", file_text="") == "File /memories/d already exists"
    assert refused(tool, "create", path="/memories", file_text="") == "File /memories already exists"
    assert tool.text("/memories/a") == "old"


def test_a_file_is_no_directory(tool):
    tool.create("/memories/a", "old")
    text = "Cannot make /memories/a/b: a directory above it is a file"
    assert refused(tool, "create", path="/memories/a/b", file_text="") == text
    tool.create("/memories/c")
    assert "a directory above it is a file" in refused(
        tool, "rename", old_path="/memories/c", new_path="/memories/a/b/c"
    )


# ---- str_replace


def test_replacing_shows_the_lines_around(tool):
    tool.create("/memories/a", "1\n2\n3\n4\n5\n6\n")
    assert tool.call("str_replace", path="/memories/a", old_str="4", new_str="four\nmore") == (
        "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n"
        "     2\t2\n     3\t3\n     4\tfour\n     5\tmore\n     6\t5"
    )
    assert tool.text("/memories/a") == "1\n2\n3\nfour\nmore\n5\n6\n"


def test_replacing_by_nothing(tool):
    tool.create("/memories/a", "tea")
    tool.call("str_replace", path="/memories/a", old_str="tea", new_str="")
    assert tool.text("/memories/a") == ""


def test_what_stands_there_not_at_all_or_several_times_is_not_replaced(tool):
    tool.create("/memories/a", "aa b\nb\naaa")
    assert refused(tool, "str_replace", path="/memories/a", old_str="zz", new_str="y") == (
        "No replacement was performed, old_str `zz` did not appear verbatim in /memories/a."
    )
    assert refused(tool, "str_replace", path="/memories/a", old_str="aa", new_str="y") == (
        "No replacement was performed. Multiple occurrences of old_str `aa` in lines: 1, 3, 3. Please ensure it is unique"
    )
    assert "old_str is empty" in refused(tool, "str_replace", path="/memories/a", old_str="", new_str="y")
    assert tool.text("/memories/a") == "aa b\nb\naaa"


# ---- insert


@pytest.mark.parametrize(
    ("before", "line", "inserted", "after"),
    [
        ("", 0, "x", "x\n"),
        ("\n", 1, "x", "\nx\n"),
        ("1\n2\n", 0, "x", "x\n1\n2\n"),
        ("1\n2\n", 1, "x\n\n", "1\nx\n2\n"),
        ("1\n2", 2, "x\ny", "1\n2\nx\ny\n"),
        ("1\r\n2", 1, "x", "1\r\nx\n2\n"),
    ],
)
def test_inserting_behind_a_line(before, line, inserted, after):
    tool = Tool(fake_server())
    tool.create("/memories/a", before)
    answer = tool.call("insert", path="/memories/a", insert_line=line, insert_text=inserted)
    assert answer == "The file /memories/a has been edited."
    assert tool.text("/memories/a") == after


@pytest.mark.parametrize("line", [-1, 3])
def test_inserting_behind_a_line_that_is_not_there(tool, line):
    tool.create("/memories/a", "1\n2\n")
    assert refused(tool, "insert", path="/memories/a", insert_line=line, insert_text="x") == (
        f"Invalid `insert_line` parameter: {line}. It should be within the range [0, 2]."
    )


@pytest.mark.parametrize("command", ["str_replace", "insert"])
def test_editing_what_is_no_file(tool, command):
    fields = {"old_str": "a", "new_str": "b", "insert_line": 0, "insert_text": "a"}
    text = "The path /memories/a does not exist. Please provide a valid path."
    assert refused(tool, command, path="/memories/a", **fields) == text
    assert refused(tool, command, path="/memories", **fields) == "The path /memories is not a file."


# ---- delete and rename


def test_deleting_a_file_leaves_its_directory(tool):
    tool.create("/memories/d/a")
    assert tool.call("delete", path="/memories/d/a") == "Successfully deleted /memories/d/a"
    assert tool.paths() == ["/memories/d/"]
    assert refused(tool, "delete", path="/memories/d/a") == "The path /memories/d/a does not exist"


def test_deleting_a_directory_takes_all_that_is_in_it(tool):
    tool.create("/memories/d/a")
    tool.create("/memories/d/e/b")
    tool.create("/memories/dd")
    tool.call("delete", path="/memories/d")
    assert tool.paths() == ["/memories/dd"]


def test_a_deleted_path_is_free_again(tool):
    tool.create("/memories/a", "old")
    tool.call("delete", path="/memories/a")
    tool.create("/memories/a", "old")
    assert tool.text("/memories/a") == "old"


def test_renaming_a_file(tool):
    tool.create("/memories/a", "tea")
    answer = tool.call("rename", old_path="/memories/a", new_path="/memories/new/b")
    assert answer == "Successfully renamed /memories/a to /memories/new/b"
    assert tool.paths() == ["/memories/new/", "/memories/new/b"]
    assert tool.text("/memories/new/b") == "tea"


def test_renaming_a_directory_moves_all_that_is_in_it(tool):
    tool.create("/memories/d/e/a", "1")
    tool.create("/memories/dd", "2")
    tool.call("rename", old_path="/memories/d", new_path="/memories/x")
    assert tool.paths() == ["/memories/dd", "/memories/x/", "/memories/x/e/"]
    assert tool.text("/memories/x/e/a") == "1"


def test_renaming_never_overwrites_and_never_moves_into_itself(tool):
    tool.create("/memories/a")
    tool.create("/memories/d/b")
    renaming = {"old_path": "/memories/a", "new_path": "/memories/d"}
    assert refused(tool, "rename", **renaming) == "The destination /memories/d already exists"
    renaming = {"old_path": "/memories/d", "new_path": "/memories/d/e"}
    assert refused(tool, "rename", **renaming) == "Cannot move /memories/d into itself"
    renaming = {"old_path": "/memories/nope", "new_path": "/memories/b"}
    assert refused(tool, "rename", **renaming) == "The path /memories/nope does not exist"


def test_the_root_is_neither_deleted_nor_renamed(tool):
    assert refused(tool, "delete", path="/memories/") == "Cannot delete the /memories directory itself"
    renaming = {"old_path": "/memories", "new_path": "/memories/a"}
    assert refused(tool, "rename", **renaming) == "Cannot rename the /memories directory itself"


def test_clearing_deletes_everything_and_nothing_twice(tool, fake):
    tool.create("/memories/d/a")
    assert [tool.clear(), tool.clear()] == ["All memory cleared"] * 2
    assert tool.paths() == []
    fake.calls.assert_called("memories.add", times=2)


# ---- limits


def test_a_file_has_a_largest_size_in_bytes():
    tool = Tool(fake_server(), max_file_size=10)
    tool.create("/memories/a", "é" * 5)
    text = "File /memories/b would have 11 bytes; a memory file has at most 10. Use several files"
    assert refused(tool, "create", path="/memories/b", file_text="é" * 5 + "x") == text
    assert "11 bytes" in refused(tool, "str_replace", path="/memories/a", old_str="ééééé", new_str="x" * 11)
    assert "at most 10" in refused(tool, "insert", path="/memories/a", insert_line=1, insert_text="")
    assert tool.text("/memories/a") == "é" * 5


def test_the_largest_file_there_can_be_fits_into_a_request():
    fake = fake_server()
    tool = Tool(fake, max_file_size=512 * 1024)
    tool.create("/memories/a", "\x00" * 512 * 1024)
    assert tool.text("/memories/a") == "\x00" * 512 * 1024


@pytest.mark.parametrize("size", [0, -1, 512 * 1024 + 1])
def test_a_largest_size_that_cannot_be_kept_is_refused(size):
    with pytest.raises(InvalidRequestError) as caught:
        Tool(fake_server(), max_file_size=size)
    assert caught.value.field == "max_file_size"


@pytest.mark.parametrize(
    ("field", "settings"),
    [("agent_id", {"agent_id": ""}), ("agent_id", {"agent_id": "a b"}), ("wait_timeout", {"wait_timeout": -1})],
)
def test_settings_are_checked_when_a_tool_is_made(face, field, settings):
    with pytest.raises(InvalidRequestError) as caught:
        Tool(fake_server(), face, **settings)
    assert caught.value.field == field


# ---- what a model may get wrong


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("path", {"command": "view"}),
        ("path", {"command": "view", "path": 1}),
        ("file_text", {"command": "create", "path": "/memories/a"}),
        ("file_text", {"command": "create", "path": "/memories/a", "file_text": None}),
        ("old_str", {"command": "str_replace", "path": "/memories/a", "new_str": "a"}),
        ("insert_text", {"command": "insert", "path": "/memories/a", "insert_line": 0, "insert_text": ["a"]}),
        ("insert_line", {"command": "insert", "path": "/memories/a", "insert_text": "a"}),
        ("insert_line", {"command": "insert", "path": "/memories/a", "insert_text": "a", "insert_line": "x"}),
        ("new_path", {"command": "rename", "old_path": "/memories/a"}),
    ],
)
def test_a_missing_or_wrong_argument_is_told_to_the_model(field, fields):
    fake = fake_server()
    assert refused(Tool(fake), **fields).startswith(f"Invalid `{field}` parameter")
    assert len(fake.calls) == 0


def test_half_a_character_is_told_to_the_model():
    tool = Tool(fake_server())
    assert "halves of characters" in refused(tool, "create", path="/memories/a", file_text="\ud800")
    assert "halves of characters" in refused(tool, "create", path="/memories/\ud800", file_text="a")
    assert "halves of characters" in refused(tool, "str_replace", path="/memories/a", old_str="\ud800", new_str="a")


def test_the_tool_describes_itself_with_its_cache_control():
    tool = Tool(fake_server(), cache_control={"type": "ephemeral"}).tool
    assert tool.to_dict() == {
        "type": "memory_20250818",
        "name": "memory",
        "cache_control": {"type": "ephemeral"},
    }
