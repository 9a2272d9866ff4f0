"""Two writers at the same time, and what the server shows late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from memtrace import DeadlineExceededError, MemtraceError, ServerError
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.integrations.anthropic_memory_tool.faces import Tool, fake_server
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

tools = Lazily("anthropic.lib.tools")

PATH = "/memories/a"


class Meanwhile:
    """A middleware that lets others act just before a write, after the files were read for it."""

    def __init__(self, *actions):
        self.actions = list(actions)

    def __call__(self, request, call_next):
        if request.operation == "memories.add" and self.actions:
            self.actions.pop(0)()
        return (yield from call_next(request))


def overtaken(fake, face, *actions):
    """A tool whose first writes come after those of others."""
    return Tool(fake, face, middleware=[Meanwhile(*actions)])


def test_edits_of_different_parts_of_one_file_are_both_kept(fake, face):
    other = Tool(fake)
    other.create(PATH, "tea\nmilk\n")
    tool = overtaken(fake, face, lambda: other.call("str_replace", path=PATH, old_str="milk", new_str="sugar"))
    answer = tool.call("str_replace", path=PATH, old_str="tea", new_str="coffee")
    assert "     1\tcoffee\n     2\tsugar" in answer
    assert tool.text(PATH) == other.text(PATH) == "coffee\nsugar\n"


def test_an_edit_of_what_another_has_just_changed_is_refused(fake, face):
    other = Tool(fake)
    other.create(PATH, "tea")
    tool = overtaken(fake, face, lambda: other.call("str_replace", path=PATH, old_str="tea", new_str="milk"))
    with pytest.raises(tools.ToolError, match="did not appear verbatim"):
        tool.call("str_replace", path=PATH, old_str="tea", new_str="coffee")
    assert tool.text(PATH) == "milk"


def test_of_two_that_create_one_file_the_second_is_told(fake, face):
    other = Tool(fake)
    tool = overtaken(fake, face, lambda: other.create(PATH, "of the other"))
    with pytest.raises(tools.ToolError, match="already exists"):
        tool.create(PATH, "mine")
    assert tool.text(PATH) == "of the other"


def test_a_directory_that_another_has_just_added_to_is_deleted_as_it_is_then(fake, face):
    other = Tool(fake)
    other.create("/memories/d/a")
    tool = overtaken(fake, face, lambda: other.create("/memories/d/b"))
    tool.call("delete", path="/memories/d")
    assert tool.paths() == Tool(fake).paths() == []


def test_a_destination_that_another_has_just_taken_is_not_overwritten(fake, face):
    other = Tool(fake)
    other.create(PATH, "mine")
    tool = overtaken(fake, face, lambda: other.create("/memories/b", "of the other"))
    with pytest.raises(tools.ToolError, match="already exists"):
        tool.call("rename", old_path=PATH, new_path="/memories/b")
    assert tool.text("/memories/b") == "of the other"


def test_whoever_is_overtaken_again_and_again_is_told(fake):
    other = Tool(fake)
    other.create(PATH, "")
    insertions = [lambda: other.call("insert", path=PATH, insert_line=0, insert_text="x")] * 5
    tool = overtaken(fake, "sync", *insertions)
    with pytest.raises(tools.ToolError, match="Nothing was changed"):
        tool.call("insert", path=PATH, insert_line=0, insert_text="y")
    assert tool.text(PATH) == "x\n" * 5
    tool.call("insert", path=PATH, insert_line=0, insert_text="y")
    assert tool.text(PATH) == "y\n" + "x\n" * 5


def test_no_edit_of_many_threads_is_lost():
    fake = FakeMemtrace()
    shared = Tool(fake)
    shared.create(PATH, "")

    def insert(number):
        tool = shared if number % 2 else Tool(fake)
        while tool.told("insert", path=PATH, insert_line=0, insert_text=str(number))[1]:
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(insert, range(24)))
    assert sorted(Tool(fake).text(PATH).split()) == sorted(map(str, range(24)))
    assert shared.text(PATH) == Tool(fake).text(PATH)


# ---- what becomes readable late, and what is no change


def late(fake, age, **metadata):
    """A change of another server process that becomes readable now, stored `age` seconds ago."""
    row = {
        "agent_id": "assistant",
        "event_type": "memory_file",
        "content": "of the other",
        "dedup_key": "late",
        "metadata": {"change": "written", "path": PATH, "expected": "", "number": 1, **metadata},
        "age_s": age,
    }
    fake.seed("acme", [row])


def test_a_change_that_becomes_readable_late_counts_from_when_it_was_made():
    fake = fake_server()
    tool = Tool(fake)
    tool.create(PATH, "mine")
    fake.clock.advance(600)
    assert tool.text(PATH) == "mine"
    late(fake, 700)
    assert tool.text(PATH) == Tool(fake).text(PATH) == "of the other"


def test_a_change_that_becomes_readable_more_than_an_hour_late_is_seen_by_new_tools_alone():
    fake = fake_server()
    tool = Tool(fake)
    tool.create("/memories/b")
    fake.clock.advance(7200)
    tool.create("/memories/c")
    assert tool.paths() == ["/memories/b", "/memories/c"]
    late(fake, 7300)
    assert tool.paths() == ["/memories/b", "/memories/c"]
    assert Tool(fake).paths() == ["/memories/a", "/memories/b", "/memories/c"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"change": "painted"},
        {"change": None},
        {"change": "renamed"},
        {"path": 1},
        {"expected": None},
        {"number": "1"},
        {"expected": "another state"},
    ],
)
def test_a_memory_that_is_no_change_of_these_files_is_passed_over(metadata):
    fake = fake_server()
    late(fake, 1, **metadata)
    assert Tool(fake).paths() == []


def test_a_memory_without_metadata_is_passed_over():
    fake = fake_server()
    fake.client("acme").memories.add(agent_id="assistant", event_type="memory_file", content="a file")
    assert Tool(fake).paths() == []


# ---- the server


def test_a_command_returns_once_every_other_tool_sees_it(face):
    fake = fake_server("server")
    for number in range(3):
        Tool(fake, face).create(f"/memories/{number}", "tea")
        assert Tool(fake).text(f"/memories/{number}") == "tea"


def test_each_agent_and_each_organisation_has_files_of_its_own(fake):
    Tool(fake).create(PATH, "mine")
    assert Tool(fake, agent_id="other").paths() == Tool(fake, org="globex").paths() == []


def test_what_is_settled_is_not_read_again():
    fake = fake_server()
    tool = Tool(fake)
    for number in range(5):
        tool.create(f"/memories/{number}", "tea")
        fake.clock.advance(7200)
    tool.create("/memories/last")
    fake.calls.clear()
    tool.paths()
    Tool(fake).paths()
    assert ["since" in call.arguments for call in fake.calls.filter("memories.list")] == [True, False]


def test_a_change_whose_answer_is_lost_is_made_once(fake, face):
    fake.faults.add(Fault("reset", on="memories.add", applied=True))
    Tool(fake, face).create(PATH, "tea")
    assert fake.client("acme").memories.list(event_type="memory_file", since="1h").count == 1


def test_storage_that_is_down_is_an_error_of_memtrace_and_not_the_models(fake, face):
    tool = Tool(fake, face)
    fake.set_storage("acme", "down")
    with pytest.raises(ServerError):
        tool.create(PATH, "tea")


def test_a_change_that_cannot_be_read_in_time_says_that_it_may_have_been_made(face):
    fake = fake_server("server")
    with pytest.raises(DeadlineExceededError) as caught:
        Tool(fake, face, wait_timeout=0).create(PATH, "tea")
    assert caught.value.maybe_applied
    fake.clock.advance(2)
    assert Tool(fake).text(PATH) == "tea"


def test_no_error_of_memtrace_holds_a_files_text():
    fake = fake_server("server")
    with pytest.raises(MemtraceError) as caught:
        Tool(fake, wait_timeout=0).create("/memories/planted-path", "planted text")
    assert "planted" not in repr(caught.value) + str(caught.value)
