"""The contracts' server does what was written down."""

from __future__ import annotations

import http.client
import urllib.request

import pytest

from memtrace import testing
from memtrace.testing._rules.requests_under_test import until
from memtrace.testing._scripted_server import Answer, Drip, ScriptedServer, Step
from memtrace.testing._threads import in_thread

pytestmark = pytest.mark.network


def test_a_body_drips():
    with ScriptedServer(Drip(pause=0.001, count=30)) as server, urllib.request.urlopen(server.url) as answer:
        assert answer.read() == b"x" * 30


def test_a_body_that_drips_for_long_comes_at_once_when_the_server_ends():
    with ScriptedServer(Drip(pause=5, count=30)) as server:
        answer = urllib.request.urlopen(server.url)
        assert answer.read(1) == b"x"
    with answer:
        assert answer.read() == b"x" * 29


def test_pauses_end_when_it_is_told_so():
    with ScriptedServer(*[Answer(200, b"at last", pause=60)] * 2) as server:
        first = in_thread(lambda: urllib.request.urlopen(server.url).read())
        until(lambda: server.at_once == 1)
        server.end_pauses()
        assert first.result(30) == b"at last"
        with urllib.request.urlopen(server.url) as second:
            assert second.read() == b"at last"
        until(lambda: server.at_once == 0)
        assert (server.at_once, server.most_at_once) == (0, 1)


def test_what_is_no_step_ends_the_connection():
    with ScriptedServer(Step()) as server, pytest.raises(http.client.RemoteDisconnected):
        urllib.request.urlopen(server.url)


def test_it_keeps_what_it_received():
    with ScriptedServer(Answer(), Answer()) as server:
        urllib.request.urlopen(urllib.request.Request(server.url + "/a?b", b"body", {"X-Trace": "1"})).close()
        (received,) = server.received
    assert (received.line, received.target, received.body) == ("POST /a?b HTTP/1.1", "/a?b", b"body")
    assert received.raw.startswith(b"POST /a?b HTTP/1.1\r\n")
    assert received.raw.endswith(b"\r\n\r\nbody")
    assert (server.connections, server.most_at_once) == (1, 1)


def test_every_name_is_there():
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'TransportContrakt'"):
        testing.TransportContrakt  # noqa: B018 - asked for
