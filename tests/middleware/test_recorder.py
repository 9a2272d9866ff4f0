"""The recorder of docs/middleware.md, against a server and then without it."""

import json
import threading

import pytest

from memtrace import APIConnectionError, Memtrace, NotFoundError, ResponseDecodeError
from memtrace.middleware import Response, after
from tests.dealing import by_face
from tests.docs import pages
from tests.faces import ONCE
from tests.loopback import LoopbackServer


@pytest.fixture(scope="module")
def manual():
    """What the page defines, without its examples: the classes as they stand there."""
    text = (pages.ROOT / "docs" / "middleware.md").read_text(encoding="utf-8")
    form, recorder = (
        pages.python_blocks(text)[0],
        pages.python_blocks(pages.section(text, "Record and replay responses"))[0],
    )
    names = {"__name__": "manual"}
    exec(form.partition("\n\n\n")[0], names)
    exec("from memtrace.middleware import call, lock", names)
    exec(recorder.partition("\nrecording = ")[0], names)
    return names


def work(client):
    """Some calls: a write, reads of which one repeats with another answer, and one that fails."""
    agent = client.agents.register(name="bot")
    before = client.recall("bot", since="7d").count
    client.remember("bot", "prefers dark mode – ünïcode")
    contents = [memory.content for memory in client.recall("bot", since="7d").memories]
    with pytest.raises(NotFoundError) as caught:
        client.agents.get("nobody")
    return agent.id, before, contents, caught.value.message


@pytest.mark.slow
@pytest.mark.network
def test_what_was_recorded_is_replayed_without_the_server(face, manual, tmp_path):
    path = tmp_path / "recording.jsonl"
    with LoopbackServer() as server:
        url, key = server.url, server.fake.organisation().api_key
        with face.client(url, key, middleware=[manual["Record"](path)]) as client:
            happened = work(client)
    with face.client(url, key) as client, pytest.raises(APIConnectionError):
        client.health()
    with face.client(url, "another key", middleware=[manual["Replay"](path)]) as client:
        assert work(client) == happened
    assert happened[1:3] == (0, ["prefers dark mode – ünïcode"])


@pytest.mark.network
@by_face("argument", ["middleware", "attempt_middleware"])
def test_a_recording_never_holds_the_key_wherever_the_recorder_stands(face, manual, tmp_path, argument):
    path = tmp_path / "recording.jsonl"
    with LoopbackServer() as server:
        key = server.fake.organisation().api_key
        recorder = after("log", manual["Record"](path))
        with face.client(server.url, key, headers={"x-own": "planted"}, **{argument: [recorder]}) as client:
            work(client)
    text = path.read_text(encoding="ascii")
    assert key not in text
    assert "planted" not in text
    assert "dark mode" in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["asked"][0], row["status"]) for row in rows] == [
        ("POST", 201),
        ("GET", 200),
        ("POST", 201),
        ("GET", 200),
        ("GET", 404),
    ]


def test_what_was_not_recorded_is_told_and_not_sent(face, manual, tmp_path):
    path = tmp_path / "recording.jsonl"
    path.touch()
    client, transport = face.scripted(middleware=[manual["Replay"](path)])
    with pytest.raises(LookupError, match="the recording has no more answers to GET /api/v1/agents/x"):
        client.agents.get("x")
    assert transport.requests == []


def test_bytes_that_are_no_text_come_back_as_they_were(face, manual, tmp_path):
    path = tmp_path / "recording.jsonl"
    seen = []

    def look(request, call_next):
        response = yield from call_next(request)
        seen.append(response.body)
        return response

    body = b'{"agents": [], "count": 0, "odd": "\xff\xfe\n\xe2\x80\xa8"}'
    client, _ = face.scripted(Response(200, body=body), middleware=[look, manual["Record"](path)], retry=ONCE)
    with pytest.raises(ResponseDecodeError):
        client.agents.list()
    client, _ = face.scripted(middleware=[look, manual["Replay"](path)], retry=ONCE)
    with pytest.raises(ResponseDecodeError):
        client.agents.list()
    assert seen == [body, body]


def test_calls_of_many_threads_are_recorded_line_by_line(manual, tmp_path):
    path = tmp_path / "recording.jsonl"
    client = Memtrace("memory://", "any key", middleware=[manual["Record"](path)])
    threads = [threading.Thread(target=client.remember, args=("bot", f"{i} " + "x" * 20_000)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    written = [json.loads(row["asked"][2])["content"].split()[0] for row in rows]
    assert sorted(written, key=int) == [str(i) for i in range(16)]
