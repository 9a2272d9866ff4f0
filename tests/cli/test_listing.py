"""The listings of transports, of middleware and of rankers."""

from __future__ import annotations

import json
import re

import memtrace
from memtrace import plugins
from memtrace.exceptions import TransportNotAvailableError
from memtrace.middleware._placement import BUILT_IN
from memtrace.plugins import PluginInfo


def test_the_built_in_transports_are_listed_as_json(invoke):
    result = invoke("transports", "--json")
    assert result.exit_code == 0
    listed = {row["name"]: row for row in json.loads(result.output)}
    assert listed["memory"] == {
        "kind": "transport",
        "name": "memory",
        "distribution": "memtrace-sdk",
        "version": memtrace.__version__,
        "status": "ok",
        "detail": "",
        "serves": ["sync", "async"],
        "default_for": [],
    }
    assert listed["httpx"]["status"] == "ok"
    assert listed["httpx"]["default_for"] == ["sync", "async"]
    assert (listed["requests"]["serves"], listed["aiohttp"]["serves"]) == (["sync"], ["async"])


def test_the_built_in_transports_are_shown_with_their_clients_and_the_default(invoke):
    header, *lines = [re.split(r"\s{2,}", line) for line in invoke("transports").output.splitlines()]
    assert header == ["kind", "name", "sync", "async", "default", "distribution", "version", "status", "detail"]
    rows = {row[1]: row[2:5] for row in lines}
    assert rows["httpx"] == ["yes", "yes", "sync, async"]
    assert (rows["requests"][:2], rows["aiohttp"][:2]) == (["yes", "no"], ["no", "yes"])


def test_the_default_is_the_first_that_is_installed(environment):
    environment.setattr(type(plugins.transport_registry.get("httpx")), "missing", lambda spec: ["x"])
    assert [info.default_for for info in plugins.transport_registry.listing()] == [()] * 6
    assert plugins.transport_registry.default("sync") is None


def test_a_default_that_cannot_be_loaded_is_nobodys(environment):
    def broken(found):
        raise TransportNotAvailableError("it was left out")

    environment.setattr(plugins.transport_registry, "get", broken)
    assert {info.default_for for info in plugins.transport_registry.listing()} == {()}


def test_on_80_columns_what_all_share_is_said_once_and_a_detail_keeps_its_words(invoke, environment):
    environment.setenv("COLUMNS", "80")
    detail = 'run: pip install "memtrace-sdk[aiohttp]"'
    infos = [
        PluginInfo("transport", "aiohttp", "memtrace-sdk", "1.0.0", "missing package", detail, ("async",)),
        PluginInfo("transport", "httpx", "memtrace-sdk", "1.0.0", "ok", "", ("sync", "async"), ("sync", "async")),
    ]
    environment.setattr(plugins.transport_registry, "listing", lambda: infos)
    shared, header, *rows = invoke("transports").output.splitlines()
    assert shared == "kind transport  distribution memtrace-sdk  version 1.0.0"
    assert header.split() == ["name", "sync", "async", "default", "status", "detail"]
    assert {*detail.split()} <= {word for row in rows for word in row.split()}


def test_a_broken_one_is_shown_with_its_whole_detail(invoke, environment):
    detail = (
        "transport 'pigeon' of pigeon-post 0.1 cannot be loaded: ImportError: \x1b[31m run: pip install \"pigeon[all]\""
    )
    info = PluginInfo("transport", "pigeon", "pigeon-post", "0.1", "missing package", detail)
    environment.setattr(plugins.transport_registry, "listing", lambda: [info])
    result = invoke("transports")
    assert result.exit_code == 0
    row = re.split(r"\s{2,}", result.output.splitlines()[1])
    assert row[:5] == ["transport", "pigeon", "pigeon-post", "0.1", "missing package"]
    words = result.output.split()
    assert "\x1b" not in result.output
    assert set(detail.replace("\x1b", r"\x1b").split()) <= set(words)


def test_the_built_in_middleware_is_listed_first_in_the_order_of_the_chain(invoke):
    result = invoke("middleware", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.output)[: len(BUILT_IN)]
    assert [row.pop("name") for row in rows] == list(BUILT_IN)
    expected = {"kind": "middleware", "distribution": "memtrace-sdk", "version": memtrace.__version__}
    assert rows == [{**expected, "status": "ok", "detail": ""}] * len(BUILT_IN)


def test_the_built_in_middleware_is_shown_to_people(invoke):
    lines = invoke("middleware").output.splitlines()
    assert lines[0].split() == ["kind", "name", "distribution", "version", "status", "detail"]
    assert [line.split() for line in lines[1 : 1 + len(BUILT_IN)]] == [
        ["middleware", name, "memtrace-sdk", memtrace.__version__, "ok"] for name in BUILT_IN
    ]


def test_without_any_middleware_the_listing_says_so(invoke, environment):
    environment.setattr(plugins.middleware_registry, "listing", list)
    assert invoke("middleware").output == "No middleware is installed.\n"
    assert json.loads(invoke("middleware", "--json").output) == []


def test_installed_middleware_is_listed(invoke, environment):
    info = PluginInfo("middleware", "tracing", "tracing-post", "0.1", "ok")
    environment.setattr(plugins.middleware_registry, "listing", lambda: [info])
    assert "tracing-post" in invoke("middleware").output


def test_the_built_in_ranker_is_listed_as_json(invoke):
    result = invoke("rankers", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output)[0] == {
        "kind": "ranker",
        "name": "lexical",
        "distribution": "memtrace-sdk",
        "version": memtrace.__version__,
        "status": "ok",
        "detail": "",
    }


def test_the_built_in_ranker_is_shown_to_people(invoke):
    lines = invoke("rankers").output.splitlines()
    assert lines[0].split() == ["kind", "name", "distribution", "version", "status", "detail"]
    assert lines[1].split() == ["ranker", "lexical", "memtrace-sdk", memtrace.__version__, "ok"]


def test_installed_rankers_are_listed_with_what_is_wrong(invoke, environment):
    detail = "reinstall cross-post, whose dependency torch is missing"
    info = PluginInfo("ranker", "cross", "cross-post", "0.1", "missing package", detail)
    environment.setattr(plugins.ranker_registry, "listing", lambda: [info])
    assert {"cross-post", *detail.split()} <= set(invoke("rankers").output.split())
    assert [row["status"] for row in json.loads(invoke("rankers", "--json").output)] == ["missing package"]


def test_without_any_ranker_the_listing_says_so(invoke, environment):
    environment.setattr(plugins.ranker_registry, "listing", list)
    assert invoke("rankers").output == "No ranker is installed.\n"
