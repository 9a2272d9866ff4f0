"""Three published distributions, a transport, a middleware and a ranker: installed from wheels, found by name, used for real calls."""

from __future__ import annotations

import asyncio
import json
import zipfile

import pytest

from memtrace import AsyncMemtrace, ConfigurationError, Memtrace, TransportNotAvailableError
from memtrace.plugins import ranker_registry
from memtrace.transport import TransportOptions
from tests.sampling import sample

pytestmark = pytest.mark.network

CALL = """
import json, sys
from memtrace import Memtrace

with Memtrace(sys.argv[1], sys.argv[2], **json.loads(sys.argv[3])) as client:
    client.remember("assistant", sys.argv[4])
    found = [memory.content for memory in client.recall("assistant").memories]
    print(json.dumps([repr(client), found, "memtrace_urllib3.transport" in sys.modules, "httpx" in sys.modules]))
"""


def call(python, server, content="Sent by a plugin", *, url=None, settings=(), **arguments):
    return json.loads(
        python("-c", CALL, url or server.url, server.key, json.dumps(arguments), content, **dict(settings))
    )


def third_party(rows):
    return [row for row in rows if row["distribution"] != "memtrace-sdk"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["argument", "scheme", "variable"])
def test_a_fresh_process_sends_through_the_transport_that_was_named(python, server, way):
    url = server.url.replace("http", "urllib3+http") if way == "scheme" else server.url
    arguments = {"transport": "urllib3"} if way == "argument" else {}
    settings = {"MEMTRACE_TRANSPORT": "urllib3"} if way == "variable" else {}
    described, found, loaded, httpx_loaded = call(python, server, url=url, settings=settings, **arguments)
    assert described == f"Memtrace('{server.url}', transport='urllib3')"
    assert found == ["Sent by a plugin"]
    assert (loaded, httpx_loaded) == (True, False)
    assert len(server.received) == 2


@pytest.mark.slow
def test_an_installed_transport_that_nobody_names_is_not_loaded(python, server):
    _, found, loaded, httpx_loaded = call(python, server)
    assert found == ["Sent by a plugin"]
    assert (loaded, httpx_loaded) == (False, True)


@pytest.mark.slow
def test_a_fresh_process_uses_the_middleware_that_was_named(python, server):
    settings = {"MEMTRACE_TAGGING_HEADER": "x-team", "MEMTRACE_TAGGING_VALUE": "blue"}
    call(python, server, "Tagged", settings=settings, transport="urllib3", middleware=["tagging"])
    call(python, server, "Not tagged", settings=settings, transport="urllib3")
    assert [request.headers.get("x-team") for request in server.received] == ["blue", "blue", None, None]


@pytest.mark.slow
def test_each_is_listed_in_a_fresh_process(python):
    transports = json.loads(python("-m", "memtrace", "transports", "--json"))
    middleware = json.loads(python("-m", "memtrace", "middleware", "--json"))
    assert third_party(transports) == [
        {
            "kind": "transport",
            "name": "urllib3",
            "distribution": "memtrace-urllib3",
            "version": "1.2.0",
            "status": "ok",
            "detail": "",
            "serves": ["sync"],
            "default_for": [],
        }
    ]
    (tagging,) = third_party(middleware)
    assert (tagging["kind"], tagging["name"]) == ("middleware", "tagging")
    assert (tagging["distribution"], tagging["version"], tagging["status"]) == ("memtrace-tagging", "0.3.0", "ok")
    (important,) = third_party(json.loads(python("-m", "memtrace", "rankers", "--json")))
    assert (important["kind"], important["name"]) == ("ranker", "important")
    assert (important["distribution"], important["version"], important["status"]) == (
        "memtrace-important",
        "0.1.0",
        "ok",
    )
    for command, name in sample([("transports", "urllib3"), ("middleware", "tagging"), ("rankers", "important")], 1):
        assert f"memtrace-{name}" in python("-m", "memtrace", command)


RANKED = """
import json, sys
from memtrace import Memtrace

with Memtrace("memory://", "key", **json.loads(sys.argv[1])) as client:
    client.memories.add(agent_id="a", content="tea and more tea", session_id="s")
    client.memories.add(agent_id="a", content="the tea that matters", session_id="t", importance=1.0)
    hits = client.memories.search("tea", agent_id="a")
    print(json.dumps([[hit.memory.content for hit in hits], "memtrace_important" in sys.modules]))
"""


@pytest.mark.slow
def test_a_fresh_process_orders_what_it_found_by_the_ranker_that_was_named(python):
    assert json.loads(python("-c", RANKED, "{}")) == [["tea and more tea", "the tea that matters"], False]
    assert json.loads(python("-c", RANKED, '{"ranker": "important"}')) == [
        ["the tea that matters", "tea and more tea"],
        True,
    ]


def test_the_ranker_is_listed(here):
    (important,) = [info for info in ranker_registry.listing() if info.distribution != "memtrace-sdk"]
    assert (important.kind, important.name, important.version, important.status) == (
        "ranker",
        "important",
        "0.1.0",
        "ok",
    )
    assert ranker_registry.names() == ["important", "lexical"]


def test_the_async_client_uses_the_same_ranker(here):
    async def main():
        async with AsyncMemtrace("memory://", "key", ranker="important") as client:
            await client.memories.add(agent_id="a", content="tea and more tea", session_id="s")
            await client.memories.add(agent_id="a", content="tea that matters", session_id="t", importance=1.0)
            recalled = await client.recall("a", query="tea")
            return [memory.content for memory in recalled.memories]

    assert asyncio.run(main()) == ["tea that matters", "tea and more tea"]


def test_the_wheels_say_that_they_are_typed(published):
    for wheel in (published.parent / "wheels").glob("*.whl"):
        package = wheel.name.split("-")[0]
        assert f"{package}/py.typed" in zipfile.ZipFile(wheel).namelist()


# ---- in this process


def test_the_transport_refuses_options_that_it_does_not_honour(here, server):
    with pytest.raises(ConfigurationError, match="http2") as caught:
        Memtrace(server.url, server.key, transport="urllib3", transport_options=TransportOptions(http2=True))
    assert "urllib3" in caught.value.message


def test_the_async_client_is_told_that_the_transport_has_no_async_form(here, server):
    with pytest.raises(TransportNotAvailableError, match="transport 'urllib3' has no async form"):
        AsyncMemtrace(server.url, server.key, transport="urllib3")


def test_without_its_library_the_transport_says_what_to_install(here, server, monkeypatch):
    monkeypatch.setattr("memtrace.plugins._is_installed", lambda package: package != "urllib3")
    with pytest.raises(TransportNotAvailableError, match="transport 'urllib3' needs the package urllib3") as caught:
        Memtrace(server.url, server.key, transport="urllib3")
    assert caught.value.hint == (
        "reinstall memtrace-urllib3, whose dependency urllib3 is missing: pip install --force-reinstall memtrace-urllib3"
    )


def test_a_middleware_takes_its_settings_from_the_environment_when_the_client_is_made(here, server, monkeypatch):
    monkeypatch.setenv("MEMTRACE_TAGGING_VALUE", "first")
    with Memtrace(server.url, server.key, middleware=["tagging"]) as client:
        monkeypatch.setenv("MEMTRACE_TAGGING_VALUE", "second")
        client.list_agents()
        client.with_options(middleware=["tagging"]).list_agents()
    assert [request.headers.get("x-tag") for request in server.received] == ["first", "second"]


def test_a_middleware_takes_its_settings_from_its_arguments(here, server, monkeypatch):
    from memtrace_tagging import Tagging

    monkeypatch.setenv("MEMTRACE_TAGGING_VALUE", "of the environment")
    with Memtrace(server.url, server.key, middleware=[Tagging(header="x-team", value="blue")]) as client:
        client.list_agents()
    (request,) = server.received
    assert (request.headers.get("x-team"), request.headers.get("x-tag")) == ("blue", None)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "MEMTRACE_TAGGING_VALUE"),
        ({"MEMTRACE_TAGGING_VALUE": "two\nlines"}, "MEMTRACE_TAGGING_VALUE"),
        ({"MEMTRACE_TAGGING_VALUE": "blue", "MEMTRACE_TAGGING_HEADER": "x team"}, "MEMTRACE_TAGGING_HEADER"),
    ],
    ids=["no value", "a value of two lines", "no name of a header"],
)
def test_a_wrong_setting_of_a_middleware_is_told_when_the_client_is_made(here, server, monkeypatch, settings, named):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"'tagging' of memtrace-tagging 0.3.0 cannot be made: .*{named}"):
        Memtrace(server.url, server.key, middleware=["tagging"])
    assert server.received == []


def test_the_async_client_uses_the_same_middleware(here, server, monkeypatch):
    async def main():
        async with AsyncMemtrace(server.url, server.key, middleware=["tagging"]) as client:
            await client.list_agents()

    monkeypatch.setenv("MEMTRACE_TAGGING_VALUE", "blue")
    asyncio.run(main())
    assert [request.headers.get("x-tag") for request in server.received] == ["blue"]
