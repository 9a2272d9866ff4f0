"""What a client is by itself: its copies, its end, its repr, health and ready, and answers that it cannot read."""

from __future__ import annotations

import copy
import pickle

import pytest

from memtrace import (
    AsyncMemtrace,
    ClientClosedError,
    Memtrace,
    ResponseDecodeError,
)
from memtrace_transports import FakeMemtrace, ManualClock
from tests.faces import ONCE, json_response


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


def test_a_copy_of_a_subclass_keeps_what_it_added(face):
    client = Sub("memory://", "key") if face.kind == "sync" else AsyncSub("memory://", "key")
    client.tenant = "acme"
    copy = client.with_options(timeout=3)
    assert type(copy) is type(client)
    assert copy.tenant == "acme"
    assert copy.memories is not client.memories
    assert "Sub('memory://'" in repr(copy)


class Sub(Memtrace):
    pass


class AsyncSub(AsyncMemtrace):
    pass


def test_health_and_ready_answer_without_raising(face, fake):
    client = face.of(fake)
    assert client.health().status == "ok"
    assert client.ready() is True
    fake.set_storage("default", "down")
    assert client.ready() is False


def test_a_page_of_another_server_is_not_taken_for_an_answer(face):
    client, _ = face.scripted(lambda _: json_response(200, "<html>hello</html>"), clock=ManualClock())
    for call in (client.ready, lambda: client.agents.delete("x"), client.health):
        with pytest.raises(ResponseDecodeError, match="base_url"):
            call()


def test_an_unreadable_answer_says_so_without_showing_it(face):
    for body in ("<html>planted secret</html>", '{"time": "planted secret"}', "[1]", ""):
        client, _ = face.scripted(json_response(201, body), retry=ONCE)
        with pytest.raises(ResponseDecodeError, match="is not readable as Memory") as caught:
            client.remember("a", "c")
        assert "base URL" in caught.value.hint
        assert caught.value.argument == "base_url"
        assert "planted secret" not in str(caught.value)
        assert caught.value.maybe_applied
        assert not caught.value.retryable
        assert caught.value.response_body == body.encode()
        assert caught.value.request.operation == "memories.add"
        assert caught.value.attempts == 1


def test_a_closed_client_says_so(face, fake):
    client = face.of(fake)
    memories = client.memories
    client.close()
    client.close()
    for call in (lambda: client.remember("a", "b"), memories.list, lambda: client.with_options(timeout=1)):
        with pytest.raises(ClientClosedError):
            call()


def test_a_copy_has_other_settings_on_the_same_store(face):
    client = face.client("memory://", "key one")
    client.remember("a", "of one")
    other = client.with_options(
        api_key="key two", timeout=5, headers={"x-trace": "1"}, middleware=[], attempt_middleware=[]
    )
    assert other.recall("a").count == 0
    assert client.with_options().recall("a").count == 1
    assert face.client("memory://", "key one").recall("a").count == 0


def test_repr_shows_address_and_transport_and_never_the_key(face):
    client = face.client("memory://", "planted-secret-key")
    assert "memory://" in repr(client)
    assert "transport='memory'" in repr(client)
    assert "planted-secret-key" not in repr(client) + repr(vars(client)) if face.kind == "sync" else True


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda copied: copied.__name__)
@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_a_client_that_is_copied_or_pickled_says_what_to_do_instead(client, copied):
    with pytest.raises(TypeError, match=r"use with_options\(\) for one on the same connections"):
        copied(client("memory://", "key"))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps], ids=lambda copied: copied.__name__)
@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_what_holds_a_client_says_so_where_it_is_copied(client, copied):
    client = client("memory://", "any")
    for holder in (client.memories, client.agents, client.sessions, {"store": [client.memories]}):
        with pytest.raises(TypeError, match="holds a client cannot be pickled or copied"):
            copied(holder)
