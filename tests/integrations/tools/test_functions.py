"""The tools as plain functions: what a framework reads of them, and what a call gives."""

import inspect
import json
import typing
from typing import Literal, get_type_hints

import pytest

from memtrace import AsyncMemtrace, Memtrace
from memtrace.integrations.tools import TOOLS, AsyncMemoryTools, MemoryTools


@pytest.fixture(params=["blocking", "async"])
def functions(request, tmp_path):
    """The functions of tools by their names, those of the async client called blockingly."""
    import asyncio

    clients = []

    def functions(**fields):
        if request.param == "blocking":
            client = Memtrace(tmp_path / "agent.db")
            clients.append(client)
            return {each.__name__: each for each in MemoryTools(client, agent_id="assistant", **fields).functions()}

        def blocking(function):
            def call(*positional, **named):
                async def main():
                    async with AsyncMemtrace(tmp_path / "agent.db") as client:
                        tools = AsyncMemoryTools(client, agent_id="assistant", **fields).functions()
                        (same,) = [each for each in tools if each.__name__ == function.__name__]
                        return await same(*positional, **named)

                return asyncio.run(main())

            call.__wrapped__ = function
            return call

        offline = AsyncMemoryTools(AsyncMemtrace("memory://"), agent_id="assistant", **fields).functions()
        return {each.__name__: blocking(each) for each in offline}

    yield functions
    for client in clients:
        client.close()


def test_each_tool_is_a_function_of_its_name(functions):
    assert tuple(functions()) == TOOLS
    assert [*functions(tools=["recall"], prefix="memory_")] == ["memory_recall"]


def test_a_call_stores_and_finds(functions):
    calls = functions(session_id="sess_1")
    assert calls["remember"](content="User prefers tea", tags=["drinks"], importance=None) == "Stored."
    assert calls["decide"]("Serve tea", "asked for") == "Stored."
    found = json.loads(calls["search"]("what does the user prefer?"))
    assert [row["content"] for row in found["memories"]][:1] == ["User prefers tea"]


def test_a_wrong_call_is_told_in_words_that_a_model_can_act_on(functions):
    calls = functions()
    assert calls["remember"](content="tea", tag=["drinks"]).startswith("Not done: ")
    assert "tags" in calls["remember"](content="tea", tag=["drinks"])
    assert calls["remember"]().startswith("Not done: ")
    assert calls["recall"](limit=500) == "Not done: limit must be at most 100. Correct it and call again."


def test_positional_arguments_follow_the_signature(functions):
    decide = functions()["decide"]
    with pytest.raises(TypeError, match=r"decide\(\) takes 4 arguments, and got 5"):
        decide("Serve tea", "asked for", None, None, None)
    with pytest.raises(TypeError, match=r"decide\(\) got several values for argument 'decision'"):
        decide("Serve tea", decision="Serve coffee")


def test_signatures_have_types_and_defaults(functions):
    search = inspect.signature(functions()["search"])
    assert [*search.parameters][:3] == ["query", "since", "until"]
    assert search.parameters["tags"].annotation == (list[str] | None)
    assert search.return_annotation is str
    assert {each.default for each in search.parameters.values()} == {None}
    content = inspect.signature(functions()["remember"]).parameters["content"]
    assert (content.annotation, content.default) == (str, inspect.Parameter.empty)


def test_annotations_resolve(functions):
    hints = get_type_hints(inspect.unwrap(functions()["recall"], stop=lambda each: hasattr(each, "__signature__")))
    types, none = typing.get_args(hints["memory_types"])
    assert (typing.get_args(types), none) == ((Literal["episodic", "session", "decision", "entity"],), type(None))


def test_docstrings_describe_each_argument(functions):
    from sphinx.ext.napoleon import GoogleDocstring

    for function in functions().values():
        plain = inspect.unwrap(function, stop=lambda each: hasattr(each, "__signature__"))
        lines = str(GoogleDocstring(inspect.getdoc(plain)))
        for name in inspect.signature(plain).parameters:
            assert f":param {name}: " in lines


def test_functions_of_an_async_client_are_coroutine_functions():
    remember, *_ = AsyncMemoryTools(AsyncMemtrace("memory://"), agent_id="assistant").functions()
    assert inspect.iscoroutinefunction(remember)
