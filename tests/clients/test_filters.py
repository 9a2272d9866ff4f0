"""One filter has one form in every place: several values as a list or a single string, one value as a string."""

from __future__ import annotations

import inspect

import pytest
from typer.main import get_command

from memtrace import (
    ActiveSession,
    ContextOptions,
    InvalidRequestError,
    ListOptions,
    Memtrace,
    PromptContextOptions,
    SearchQuery,
)
from memtrace.integrations.tools import MemoryTools
from memtrace.ranking import MemoryFilter
from memtrace.resources import Agents, Memories, Sessions
from memtrace.testing import FakeMemtrace
from tests.dealing import by_face

SEVERAL = {"memory_types": "decision", "event_types": "error", "include_types": "decision", "tags": "ui"}
ONE = {"memory_type": "decision", "event_type": "error"}
OWNERS = {
    "client": Memtrace,
    "memories": Memories,
    "agents": Agents,
    "sessions": Sessions,
    "session": ActiveSession,
}
WRITES = {"add", "remember", "decide"}


def places(filters):
    """Each method that reads, with each of `filters` that it has."""
    for owner, kind in OWNERS.items():
        for name, member in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_") and name not in WRITES:
                yield from ((owner, name, filter_) for filter_ in filters if filter_ in parameters(member))


def parameters(method):
    return inspect.signature(method).parameters


@pytest.fixture
def client(face):
    return face.of(FakeMemtrace())


@pytest.fixture
def reading(client, owner, name):
    """Calls the method with a filter; gives the contents that it found."""
    agent = client.agents.register("bot")
    with client.sessions.open(agent) as session:
        for number, kind in enumerate(["episodic", "decision", "entity", "decision"]):
            client.memories.add(
                agent_id=agent.id,
                session_id=session.id,
                content=f"tea {number}",
                memory_type=kind,
                event_type="error" if number < 2 else "general",
                tags=["ui"] if number else ["gui"],
            )
    method = getattr({"client": client, "session": session}.get(owner) or getattr(client, owner), name)
    known = {"agent_id": agent.id, "session_id": session.id, "query": "tea"}
    needed = [
        known[each.name]
        for each in parameters(getattr(OWNERS[owner], name)).values()
        if each.default is inspect.Parameter.empty and each.name != "self"
    ]

    def read(**filters):
        found = method(*needed, **filters)
        if hasattr(found, "context"):
            return found.context
        return sorted(memory.content for memory in getattr(found, "memories", found))

    return read


@by_face(("owner", "name", "filter_"), [*places(SEVERAL)])
def test_a_filter_of_several_values_accepts_one_string_or_a_list_of_them(reading, filter_):
    one = SEVERAL[filter_]
    found = reading(**{filter_: one})
    assert found == reading(**{filter_: [one]}) == reading(**{filter_: (one,)}) == reading(**{filter_: iter([one])})
    assert found != reading(**{filter_: None})


@by_face(("owner", "name", "filter_"), [*places(SEVERAL)])
@pytest.mark.parametrize("wrong", [3, [3]])
def test_a_filter_of_several_values_names_its_form_for_anything_else(reading, filter_, wrong):
    with pytest.raises(InvalidRequestError) as caught:
        reading(**{filter_: wrong})
    assert caught.value.field in (filter_, f"{filter_}[0]")
    assert caught.value.rule in ("a string or a list of strings", "a string")


@by_face(("owner", "name", "filter_"), [*places(ONE)])
def test_a_filter_of_one_value_names_those_that_accept_several(reading, filter_):
    assert reading(**{filter_: ONE[filter_]}) != reading()
    with pytest.raises(InvalidRequestError, match=f"^{filter_} must be a string, not list") as caught:
        reading(**{filter_: [ONE[filter_]]})
    assert f"memories.filter({filter_}s=[...])" in caught.value.hint


@by_face(("owner", "name", "filter_"), [place for place in places({**SEVERAL, **ONE}) if place[2] != "tags"])
def test_the_other_number_of_a_filter_is_a_type_error_that_names_the_right_one(reading, owner, name, filter_):
    other = filter_.removesuffix("s") if filter_.endswith("s") else f"{filter_}s"
    if other not in parameters(getattr(OWNERS[owner], name)):
        with pytest.raises(TypeError, match=rf"unexpected keyword argument '{other}'.*\b{filter_}\b"):
            reading(**{other: "decision"})


def test_the_places_are_all_that_there_are():
    assert len({(owner, name) for owner, name, _ in places({**SEVERAL, **ONE})}) >= 13


@pytest.mark.parametrize("model", [SearchQuery, ContextOptions, PromptContextOptions])
def test_a_model_has_a_list_of_what_was_one_string(model):
    for name in SEVERAL.keys() & model.model_fields.keys() - {"tags"}:
        assert getattr(model(**{name: "decision"}), name) == ["decision"]
        assert model(**{name: None}).model_dump()[name] is None
    assert ListOptions(tags="ui").tags == "ui"


def test_a_filter_of_the_text_index_does_not_read_a_string_letter_by_letter():
    one = MemoryFilter(memory_types="decision", event_types="error", tags="ui,nav")
    assert one.where() == MemoryFilter(memory_types=["decision"], event_types=["error"], tags=["ui", "nav"]).where()


@pytest.mark.parametrize("tool", ["recall", "search"])
def test_a_tool_accepts_one_string_where_its_schema_asks_a_model_for_a_list(tool):
    client = FakeMemtrace().client()
    client.remember("bot", "tea", memory_type="decision", tags=["ui"])
    client.remember("bot", "coffee")
    tools = MemoryTools(client, agent_id="bot")
    for filters in ({"memory_types": "decision"}, {"memory_types": ["decision"]}, {"tags": "ui"}, {"tags": ["ui"]}):
        text = tools.call(tool, {"query": "tea coffee", **filters}).text
        assert ("tea" in text, "coffee" in text) == (True, False)


def test_the_console_has_the_same_three_options_for_them_in_every_command():
    from memtrace._cli.app import app

    options = {
        (parameter.name, *parameter.opts)
        for command in get_command(app).commands.values()
        for parameter in command.params
        if parameter.name in {"memory_type", "event_type", "tag", *SEVERAL, *ONE}
    }
    assert options == {("memory_type", "--type"), ("event_type", "--event-type"), ("tag", "--tag")}
