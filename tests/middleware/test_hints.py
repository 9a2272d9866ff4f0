"""Hints fit the place that the base URL names."""

from __future__ import annotations

import pytest

from memtrace import APIConnectionError, MemtraceError
from memtrace.testing import FakeMemtrace, Fault, ManualClock
from memtrace.transport import Response, TransportError
from tests.faces import ONCE

OF_A_SERVER = ("server running", "base URL", "proxy", "admin", "doctor", "server's load")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refused"),
        Fault("reset"),
        Fault("truncated"),
        Fault("garbled"),
        Fault("delay", seconds=60.0),
        Fault("storage_down", seconds=60.0),
        *(Fault("status", status=status) for status in (302, 404, 405, 413, 500, 502, 503, 504)),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status or ''}",
)
def test_no_hint_about_the_fake_speaks_of_a_server(face, fault):
    fake = FakeMemtrace(clock=ManualClock())
    fake.faults.add(fault)
    client = face.of(fake, retry=ONCE, timeout=30.0)
    with pytest.raises(MemtraceError) as caught:
        client.sessions.list() if fault.kind != "storage_down" else client.recall("bot")
    told = f"{caught.value.hint} {caught.value}"
    assert [words for words in OF_A_SERVER if words in told] == []


def test_a_route_that_the_fake_or_the_store_does_not_have(face, tmp_path):
    for client in (face.of(FakeMemtrace()), face.client(tmp_path / "agent.db")):
        with pytest.raises(MemtraceError) as caught:
            client.request("GET", "/nowhere")
        assert caught.value.hint.startswith("this is a stand-in for a Memtrace server")


def test_a_failure_of_the_store_leads_to_its_check(face, tmp_path):
    client, _ = face.scripted(Response(500, body=b"?"), url=f"sqlite:///{tmp_path}/agent.db", retry=ONCE)
    with pytest.raises(MemtraceError) as caught:
        client.agents.list()
    assert "server" not in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://server.test", "is the server running at http://server.test? Check the base URL"),
        ("https://server.test/v2", "is the server running at https://server.test? Check the base URL"),
        ("carrier://pigeon", "is there what carrier:// leads to? Check the base URL, and what its transport needs"),
    ],
)
def test_where_no_connection_came_about_the_hint_names_the_place(face, url, hint):
    client, _ = face.scripted(TransportError("x", cause="connect", maybe_sent=False), url=url, retry=ONCE)
    with pytest.raises(APIConnectionError) as caught:
        client.health()
    assert (caught.value.hint, caught.value.argument) == (hint, "base_url")


def test_an_answer_of_a_server_that_cannot_be_read(face):
    client, _ = face.scripted(Response(200, body=b"?"), retry=ONCE)
    with pytest.raises(MemtraceError) as caught:
        client.health()
    assert caught.value.hint == "check that the base URL is the address of a Memtrace server"
