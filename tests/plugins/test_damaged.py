"""Published distributions that are wrong in some way: all installed at once, beside two that work."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.plugins.conftest import Python, install, place, write_project
from tests.sampling import is_whole, sample

SPEC = {
    "transport": "TransportSpec(create=lambda options: None",
    "middleware": "MiddlewareSpec(create=lambda: None",
    "ranker": "RankerSpec(create=lambda: None",
}
GROUP = {"transport": "memtrace.transports", "middleware": "memtrace.middleware", "ranker": "memtrace.rankers"}
TAKEN = {"transport": "httpx", "middleware": "auth", "ranker": "lexical"}
COMMAND = {"transport": "transports", "middleware": "middleware", "ranker": "rankers"}
WORKING = {
    "transport": ("urllib3", "memtrace-urllib3"),
    "middleware": ("tagging", "memtrace-tagging"),
    "ranker": ("important", "memtrace-important"),
}
KINDS = sorted(SPEC)


def plugin(kind, *, hook="", more=""):
    """The code of a plugin that is right but for the hook's name and the spec's last arguments."""
    return f"""
        from memtrace.plugins import MiddlewareSpec, RankerSpec, TransportSpec, hookimpl

        @hookimpl
        def {hook or f"memtrace_{kind}"}():
            return {SPEC[kind]}{more})
    """


def damages(kind):
    """The last part of a distribution's name, its version, the name that it takes, and its code."""
    return [
        ("broken", "2.1", "broken", "raise RuntimeError('it was built for another machine')"),
        ("twin-one", "1.0", "twin", plugin(kind)),
        ("twin-two", "3.2", "twin", plugin(kind)),
        ("taker", "4.0", TAKEN[kind], "raise AssertionError('a built-in name was given away')"),
        ("future", "9.9", "future", plugin(kind, more=", api=99")),
        ("misspelt", "0.2", "misspelt", plugin(kind, hook=f"memtrace_{kind}s")),
        ("exits", "1.1", "exits", "import sys; sys.exit('no gpu in this machine')"),
        ("worded", "1.3", "worded", plugin(kind, more=", api='2'")),
    ]


@pytest.fixture(scope="module")
def python(published, tmp_path_factory):
    """Fresh processes that see the damaged ones and those that work."""
    folder = tmp_path_factory.mktemp("damaged")
    projects = [
        write_project(folder, f"acme-{kind}-{end}", name, code, version=version, group=GROUP[kind])
        for kind in KINDS
        for end, version, name, code in damages(kind)
    ]
    site = install(folder, projects) if is_whole() else place(folder, projects)
    return Python(os.pathsep.join(map(str, (site, published))), folder)


@pytest.fixture(scope="module")
def listed(python):
    """Each listing, as rows."""
    return {kind: json.loads(python("-m", "memtrace", command, "--json")) for kind, command in COMMAND.items()}


STATUSES = [
    ("broken", "broken", "2.1", "cannot be loaded: RuntimeError: it was built for another machine"),
    ("twin-one", "ambiguous", "1.0", "several distributions bring this name; uninstall all except one"),
    ("twin-two", "ambiguous", "3.2", "several distributions bring this name; uninstall all except one"),
    ("taker", "shadowed", "4.0", "belongs to a built-in"),
    ("future", "broken", "9.9", "was written for plugin interface 99"),
    ("misspelt", "broken", "0.2", "unknown hook"),
    ("exits", "broken", "1.1", "cannot be loaded: SystemExit: no gpu in this machine"),
    ("worded", "broken", "1.3", "api must be the version of the plugin interface"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("end", "status", "version", "told"), STATUSES, ids=[row[0] for row in STATUSES])
def test_each_is_listed_with_its_status_and_the_reason(listed, kind, end, status, version, told):
    (row,) = [row for row in listed[kind] if row["distribution"] == f"acme-{kind}-{end}"]
    assert (row["kind"], row["version"], row["status"]) == (kind, version, status)
    assert told in row["detail"]


@pytest.mark.parametrize("kind", KINDS)
def test_those_that_work_are_listed_beside_them(listed, kind):
    working = {row["name"]: row["distribution"] for row in listed[kind] if row["status"] == "ok"}
    assert WORKING[kind] in working.items()
    assert working[TAKEN[kind]] == "memtrace-sdk"


@pytest.mark.parametrize("kind", sample(KINDS, 1))
def test_the_table_shows_every_distribution_with_its_status(python, kind):
    lines = python("-m", "memtrace", COMMAND[kind]).splitlines()
    for end, status, version, _ in STATUSES:
        (line,) = [line for line in lines if f" acme-{kind}-{end} " in line]
        assert f" {version} " in line
        assert f" {status} " in line


ASK = """
import json, sys
from memtrace import Memtrace, MemtraceError

url, key, *asked = sys.argv[1:]
told = {}
for arguments in asked:
    try:
        Memtrace(url, key, **json.loads(arguments))
    except MemtraceError as error:
        told[arguments] = [type(error).__name__, f"{error} {error.hint}"]

called = []
working = {"transport": "urllib3", "middleware": ["tagging"], "ranker": "important"}
for arguments in ({}, {"transport": "httpx"}, working):
    with Memtrace(url, key, **arguments) as client:
        called.append(client.recall("assistant").count)
print(json.dumps([told, called]))
"""
CURES = [
    ("broken", ["acme-{kind}-broken 2.1", "it was built for another machine", "upgrade or uninstall acme-{kind}-broken"]),
    ("twin", ["acme-{kind}-twin-one 1.0", "acme-{kind}-twin-two 3.2", "uninstall all except one"]),
    ("future", ["acme-{kind}-future 9.9", "plugin interface 99", "upgrade memtrace-sdk"]),
    ("exits", ["acme-{kind}-exits 1.1", "no gpu in this machine", "upgrade or uninstall acme-{kind}-exits"]),
    ("worded", ["acme-{kind}-worded 1.3", "a whole number, not '2'", "upgrade or uninstall acme-{kind}-worded"]),
    ("misspelt", ["acme-{kind}-misspelt 0.2", "memtrace_{kind}s", "upgrade or uninstall acme-{kind}-misspelt"]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.network
def test_only_the_call_that_asks_for_one_fails_and_is_told_whose_it_is_and_what_helps(python, server):
    asked = {
        (kind, name): json.dumps({kind: [name] if kind == "middleware" else name})
        for kind in KINDS
        for name, _ in CURES
    }
    output = python("-c", ASK, server.url, server.key, *asked.values(), MEMTRACE_TAGGING_VALUE="blue")
    told, called = json.loads(output)
    for (kind, name), arguments in asked.items():
        error, text = told[arguments]
        assert error == ("TransportNotAvailableError" if kind == "transport" else "ConfigurationError")
        for part in dict(CURES)[name]:
            assert part.format(kind=kind) in text
        assert re.search(rf"\b{name}\b", text)
    assert called == [0, 0, 0]
    assert [request.headers.get("x-tag") for request in server.received] == [None, None, "blue"]
