"""The variables of the environment that a client reads, every two values of them together, on every transport.

What has to come of it is said here once more, for the few hosts and entries that occur, and without the SDK's own rules.
"""

from __future__ import annotations

import asyncio
import itertools
import os

import pytest

from memtrace import APIConnectionError, AsyncMemtrace, ConfigurationError, Memtrace, RetryPolicy
from tests import sampling
from tests.pairwise import pairwise
from tests.transports.kinds import KINDS
from tests.transports.scripted import Answer, Refuse, ScriptedServer

HEALTH = b'{"status":"ok","service":"memtrace","version":"1","uptime":"1s"}'
AXES = {
    "kind": KINDS,
    "host": ["127.0.0.1", "localhost"],
    "HTTP_PROXY": [None, "", "live", "dead", "live without a scheme", "socks", "broken"],
    "HTTPS_PROXY": [None, "dead", "socks", "broken"],
    "ALL_PROXY": [None, "live", "dead", "socks", "broken"],
    "NO_PROXY": [
        None,
        "127.0.0.1,::1/128",
        "fe80::/10, [::1], http://[::1",
        "127.0.0.0/8",
        "localhost",
        ".localhost,[::1]:80,127.0.0.1/32",
        "*",
        "other,*",
        "server.example",
        "*.server.example,10.0.0.0/8",
    ],
    "spelling": [str.upper, str.lower],
    "names the transport": ["variable", "base URL"],
    "MEMTRACE_TIMEOUT": [None, "", "20"],
    "path": ["", "/v2/"],
    "SSL_CERT_FILE": [None, "", "/nowhere/ca.pem"],  # which nothing reads for http
    "MEMTRACE_API_KEY": ["mtk_of_acme", "k"],
}
PASSED = {
    "127.0.0.1": {1, 3, 5, 6, 7},
    "localhost": {4, 5, 6, 7},
}
SEEDS = range(8) if sampling.is_whole() else [sampling.seed()]
ROWS = list(itertools.chain.from_iterable(pairwise(AXES, seed=seed) for seed in SEEDS))


def described(row):
    return " ".join(
        str(value) for name, value in row.items() if name in ("kind", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
    )


@pytest.fixture(scope="module")
def places():
    answer = Answer(200, HEALTH, [("Content-Type", "application/json")])
    answers = [answer] * len(ROWS)
    with ScriptedServer(*answers) as server, ScriptedServer(*answers) as proxy, Refuse() as dead:
        yield server, proxy, dead


def expected(row):
    """``direct``, or what the variable that counts says and its name."""
    if AXES["NO_PROXY"].index(row["NO_PROXY"]) in PASSED[row["host"]]:
        return "direct", ""
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        if row[name]:
            return row[name].partition(" ")[0], row["spelling"](name)
    return "direct", ""


def health_of(kind, **settings):
    if not kind.asynchronous:
        with Memtrace(**settings) as client:
            return client.health()

    async def ask():
        async with AsyncMemtrace(**settings) as client:
            return await client.health()

    return asyncio.run(ask())


@pytest.mark.network
@pytest.mark.parametrize("row", ROWS, ids=described)
def test_what_the_environment_says_is_what_a_call_does(row, places, monkeypatch):
    server, proxy, dead = places
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    address = {
        "live": proxy.url.replace("//", "//me:PASSWORD@"),
        "live without a scheme": proxy.url.replace("http://", "me:PASSWORD@"),
        "dead": dead.url.replace("//", "//me:PASSWORD@"),
        "socks": "socks://me:PASSWORD@127.0.0.1:1/",
        "broken": "http://me:PASSWORD@proxy:port",
    }
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        if row[name] is not None:
            monkeypatch.setenv(row["spelling"](name), address.get(row[name], row[name]))
    for name in ("SSL_CERT_FILE", "MEMTRACE_TIMEOUT", "MEMTRACE_API_KEY"):
        if row[name] is not None:
            monkeypatch.setenv(name, row[name])
    url = server.url.replace("127.0.0.1", row["host"]) + row["path"]
    by_variable = row["names the transport"] == "variable"
    monkeypatch.setenv("MEMTRACE_TRANSPORT", row["kind"].name if by_variable else "nonsense")
    monkeypatch.setenv("MEMTRACE_BASE_URL", url if by_variable else f"{row['kind'].name}+{url}")
    before = len(server.received), len(proxy.received)
    outcome, variable = expected(row)
    if outcome in ("direct", "live"):
        assert health_of(row["kind"]).status == "ok"
        after = len(server.received) - before[0], len(proxy.received) - before[1]
        assert after == ((1, 0) if outcome == "direct" else (0, 1))
        return
    with pytest.raises(APIConnectionError if outcome == "dead" else ConfigurationError) as raised:
        health_of(row["kind"], retry=RetryPolicy(max_attempts=1))
    assert f"{variable}: " in str(raised.value) or f"in {variable} cannot be used" in str(raised.value)
    assert "PASSWORD" not in f"{raised.value}{raised.value!r}{raised.value.hint}"
    assert (len(server.received), len(proxy.received)) == before


def test_every_two_values_stand_together():
    axes = {"a": [1, 2, 3], "b": ["x", "y"], "c": [None, "", "z"]}
    rows = pairwise(axes, seed=sampling.seed())
    for one, other in itertools.combinations(axes, 2):
        met = {(row[one], row[other]) for row in rows}
        assert met == set(itertools.product(axes[one], axes[other]))
    assert len(rows) < 18
