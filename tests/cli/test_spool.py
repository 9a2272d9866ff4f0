"""spool: what the file of a write buffer holds, sending it, and what the server refused."""

from __future__ import annotations

import json

import pytest

from memtrace import AddMemoryRequest, Memtrace
from memtrace._runtime.write_buffer.admission import prepare
from memtrace._runtime.write_buffer.spool_delivery import Outbox
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from memtrace_transports.memory.server import LiveServer


@pytest.fixture
def server(environment):
    fake = FakeMemtrace(any_key=True)
    with LiveServer(fake) as server:
        environment.setenv("MEMTRACE_BASE_URL", server.url)
        environment.setenv("MEMTRACE_API_KEY", "mtk_one")
        yield server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(server, path):
    with Memtrace() as client:
        outbox = Outbox(str(path), client._dispatcher.settings)
        for number in range(3):
            request = AddMemoryRequest(agent_id="assistant", content=f"memory {number}")
            outbox.add(prepare(request, "per_call")[0])
        yield outbox
        outbox.spool.close()


def test_status_counts_what_waits(invoke, outbox, path):
    shown = invoke("spool", "status", str(path))
    assert f"{path}: 3 memories waiting, 0 under way, 0 rejected" in shown.stdout
    assert "the oldest since" in shown.stdout
    told = json.loads(invoke("spool", "status", str(path), "--json").stdout)
    assert (told["waiting"], told["under_way"], told["failed"], told["failures"]) == (3, 0, 0, [])
    assert told["oldest"].endswith("Z")


def test_send_sends_each_once(invoke, outbox, path):
    assert "3 stored, 0 there already, 0 rejected" in invoke("spool", "send", str(path)).stdout
    told = json.loads(invoke("spool", "send", str(path), "--json").stdout)
    assert told == {"file": str(path), "stored": 0, "duplicate": 0, "failed": 0}
    assert json.loads(invoke("spool", "status", str(path), "--json").stdout)["oldest"] is None
    with Memtrace() as client:
        assert len(client.recall("assistant").memories) == 3


@pytest.mark.slow
def test_what_the_server_refuses_is_shown_and_dropped(invoke, outbox, path, server):
    body = b"""{"error": "failed to create memory 1: invalid tag 'planted'"}"""
    server.fake.faults.add(Fault("status", on="memories.add_many", status=500, body=body))
    sent = invoke("spool", "send", str(path))
    assert sent.exit_code == 8
    assert "2 stored, 0 there already, 1 rejected" in sent.stdout
    shown = invoke("spool", "status", str(path)).stdout
    assert "rejected: number 2, failed to create …: invalid tag" in shown
    assert "planted" not in shown
    lines = invoke("spool", "failed", str(path), "--drop").stdout.splitlines()
    assert [json.loads(line)["content"] for line in lines] == ["memory 1"]
    again = invoke("spool", "failed", str(path))
    assert (again.stdout, again.exit_code) == ("", 0)
    assert "rejected none" in again.stderr


def test_a_server_that_is_down_leaves_it_all(invoke, outbox, path, server):
    server.fake.faults.add(Fault("status", status=503, times=None))
    sent = invoke("spool", "send", str(path))
    assert sent.exit_code == 6
    assert json.loads(invoke("spool", "status", str(path), "--json").stdout)["waiting"] == 3


@pytest.mark.slow
def test_what_went_before_a_failure_is_told(invoke, outbox, path, server):
    with Memtrace() as client:
        for number in range(100):
            request = AddMemoryRequest(agent_id="assistant", content=f"more {number}")
            outbox.add(prepare(request, client._dispatcher.settings.dedup and "per_call")[0])
    server.fake.faults.add(Fault("status", on="memories.add_many", nth=2, status=503, times=None))
    sent = invoke("spool", "send", str(path))
    assert sent.exit_code == 6
    assert "So far 100 stored, 0 there already, 0 rejected; the rest is kept." in sent.stderr


def test_send_waits_for_another_sender(invoke, outbox, path, monkeypatch):
    assert outbox.spool.take_role()
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            outbox.spool.release_role()

    monkeypatch.setattr("memtrace._cli.spool.time.sleep", wait)
    sent = invoke("spool", "send", str(path))
    assert sent.stderr.count("another process is sending out of this file") == 1
    assert "3 stored" in sent.stdout


def test_another_servers_key_is_refused(invoke, outbox, path, environment):
    environment.setenv("MEMTRACE_API_KEY", "mtk_two")
    sent = invoke("spool", "send", str(path))
    assert sent.exit_code == 2
    assert "belongs to another organisation, by its API key" in sent.stderr
    assert "--take-over" in sent.stderr
    taken = invoke("spool", "send", str(path), "--take-over", "--json")
    assert json.loads(taken.stdout)["stored"] == 3
    assert "0 stored" in invoke("spool", "send", str(path)).stdout


@pytest.mark.parametrize("command", ["status", "send", "failed"])
def test_a_file_that_is_missing_is_not_made(invoke, server, path, command):
    found = invoke("spool", command, str(path))
    assert found.exit_code == 2
    assert f"the spool {path} does not exist" in found.stderr
    assert not path.exists()
