"""Planted secrets are found wherever a log record or an error may carry them, and the SDK's own carry none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import traceback

import pytest

from memtrace import AddMemoryRequest, AsyncMemtrace, Memtrace, MemtraceError, RetryPolicy
from memtrace.testing import _scripted_server as scripted
from memtrace.testing._canaries import CONTENT, KEY, shown_in_error, shown_in_records
from memtrace.transport import Headers, Request, TransportError
from memtrace_transports import AsyncMemoryTransport, FakeMemtrace, ManualClock, MemoryTransport
from memtrace_transports.memory import Fault
from tests.contracts.crash_report import places_of
from tests.sampling import crossed
from tests.transports.kinds import FORMS, KINDS


def record(message, *args, error=None, **extra):
    made = logging.getLogger("somebody").makeRecord(
        "somebody",
        logging.DEBUG,
        __file__,
        1,
        message,
        args,
        (type(error), error, None) if error else None,
        extra=extra,
    )
    return [made]


@pytest.mark.parametrize("secret", [KEY, CONTENT])
@pytest.mark.parametrize(
    "make",
    [
        record,
        lambda secret: record("%s", secret),
        lambda secret: record("no", field=[secret]),
        lambda secret: record("no", error=ValueError(secret)),
    ],
    ids=["message", "argument", "field", "error"],
)
def test_a_log_record_shows_it(make, secret):
    assert len(shown_in_records(make(secret))) == 1


def test_an_innocent_record_shows_none():
    assert shown_in_records(record("all is %s", "well", error=ValueError("so far"), field=1)) == []


def test_an_error_shows_it_in_its_text_and_in_its_causes():
    error = LookupError("no secret here")
    error.__cause__ = ValueError(KEY)
    assert shown_in_error(error) == ["LookupError: traceback"]
    assert shown_in_error(ValueError(CONTENT)) == [
        f"ValueError: {face}" for face in ("str", "repr", "args", "traceback")
    ]


# ---- the SDK's own


HEADER = "planted-header-1b2c3d4e"

FAILURES = {
    "refused": None,
    "reset": scripted.ResetAfterReading(),
    "closed": scripted.CloseAfterReading(),
    "late": scripted.Stall(),
    "half a body": scripted.Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"),
    "cut": scripted.Truncate(),
    "no HTTP": scripted.Garbage(),
    "401": scripted.Answer(401, b'{"error": "invalid API key"}'),
    "404": scripted.Answer(404, b"nothing here"),
    "500": scripted.Answer(500, b'{"error": "x"}'),
    "redirect": scripted.Answer(302, b"", [("Location", "http://elsewhere/")]),
    "no JSON": scripted.Answer(200, b"<html>"),
    "no gzip": scripted.Answer(200, b"no gzip at all", [("Content-Encoding", "gzip")]),
}

HOLDING = AddMemoryRequest(agent_id="bot", content="not planted")


async def added(client):
    await client.memories.add(HOLDING)


async def in_a_batch(client):
    result = await client.memories.add_many([HOLDING])
    raise result.outcomes[0].error


async def iterated(client):
    async for _ in client.memories.iter(agent_id="bot"):
        pass


async def buffered(client):
    async with client.memories.buffered() as buffer:
        future = await buffer.add(HOLDING)
        await buffer.flush()
    raise (await future).error


def add(client):
    client.memories.add(HOLDING)


def add_in_a_batch(client):
    raise client.memories.add_many([HOLDING]).outcomes[0].error


def iterate(client):
    list(client.memories.iter(agent_id="bot"))


def buffer(client):
    with client.memories.buffered() as buffer:
        future = buffer.add(HOLDING)
    raise future.result().error


USES = {
    "added": (add, added),
    "in a batch": (add_in_a_batch, in_a_batch),
    "iterated": (iterate, iterated),
    "buffered": (buffer, buffered),
}


def error_of(asynchronous, use, url, **settings):
    """What a client's use at this address raises."""
    settings = {"timeout": 0.3, "headers": {"x-gate": HEADER}, **settings}
    try:
        if asynchronous:
            asyncio.run(_awaited(USES[use][1], url, settings))
        else:
            with Memtrace(url, KEY, **settings) as client:
                USES[use][0](client)
    except MemtraceError as error:
        return error
    return pytest.fail("it raised nothing")


async def _awaited(use, url, settings):
    async with AsyncMemtrace(url, KEY, **settings) as client:
        await use(client)


@contextlib.contextmanager
def failing(failure):
    step = FAILURES[failure]
    if step is None:
        with scripted.refusing_address() as url:
            yield url
    else:
        with scripted.ScriptedServer(*[step] * 4) as server:
            yield server.url


def assert_none_shown(error, caplog):
    for secret in (KEY, HEADER):
        assert places_of(secret, error, but=[__file__]) == []
        assert secret.encode() not in pickle.dumps(error)
        assert secret not in "".join(traceback.format_exception(error))
    assert shown_in_error(error) == []
    assert shown_in_records(caplog.records) == []


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(("failure", "kind", "use"), crossed(list(FAILURES), KINDS, list(USES)), ids=str)
def test_no_frame_of_a_failed_call_and_no_log_shows_the_key(failure, kind, use, caplog):
    caplog.set_level(logging.DEBUG)
    with failing(failure) as url:
        error = error_of(kind.asynchronous, use, url, transport=kind.name, clock=ManualClock())
    assert_none_shown(error, caplog)


@pytest.mark.network
@pytest.mark.parametrize(
    ("form", "failure"), crossed(FORMS, [name for name in FAILURES if not name.isdigit()]), ids=str
)
def test_no_frame_of_a_transport_shows_the_key(form, failure, caplog):
    caplog.set_level(logging.DEBUG)
    with failing(failure) as url:
        request = Request("POST", url, "/", Headers({"x-api-key": KEY}), CONTENT.encode(), timeout=0.3)
        (outcome,) = form.send(request)
    if isinstance(outcome, TransportError):
        assert places_of(KEY, outcome, but=[__file__]) == []


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["refused", "reset", "truncated", "garbled"])
def test_no_frame_of_the_fake_shows_the_key(kind, use, asynchronous, caplog):
    fake = FakeMemtrace(any_key=True)
    fake.faults.add(Fault(kind, times=9))
    transport = (AsyncMemoryTransport if asynchronous else MemoryTransport)(fake)
    once = RetryPolicy(max_attempts=1)
    assert_none_shown(error_of(asynchronous, use, "memory://", transport=transport, retry=once), caplog)


@pytest.mark.parametrize(
    "given",
    [
        {"timeout": -1},
        {"api_key": f"{KEY}\n"},
        {"api_key": KEY.encode()},
        {"base_url": "nowhere"},
        {"transport": "nobody's"},
        {"middleware": [3]},
        {"headers": {"host": "x"}},
    ],
    ids=lambda given: next(iter(given)),
)
@pytest.mark.parametrize("kind", [Memtrace, AsyncMemtrace])
def test_no_frame_of_a_client_that_cannot_be_made_shows_the_key(kind, given, caplog):
    with pytest.raises(MemtraceError) as caught:
        kind(**{"base_url": "http://server.test", "api_key": KEY, **given})
    assert_none_shown(caught.value, caplog)


@pytest.mark.parametrize("given", [{"timeout": "3s"}, {"api_key": f"{KEY}\n"}, {"api_key": KEY.encode()}], ids=str)
@pytest.mark.parametrize("kind", [Memtrace, AsyncMemtrace])
def test_no_frame_of_a_copy_that_cannot_be_made_shows_the_key(kind, given, caplog):
    client = kind("http://server.test", "another key")
    with pytest.raises(MemtraceError) as caught:
        client.with_options(**{"api_key": KEY, **given})
    assert_none_shown(caught.value, caplog)


def test_no_frame_shows_a_key_of_the_environment(monkeypatch, caplog):
    monkeypatch.setenv("MEMTRACE_API_KEY", f"{KEY}\n")
    with pytest.raises(MemtraceError) as caught:
        Memtrace("http://server.test")
    assert_none_shown(caught.value, caplog)


@pytest.mark.network
@pytest.mark.parametrize("command", [["recall", "bot"], ["remember", "bot", "not planted"], ["export", "-"]], ids=str)
def test_no_frame_of_the_console_shows_the_key(command, monkeypatch, tmp_path, caplog):
    from typer.testing import CliRunner

    from memtrace._cli.app import app

    monkeypatch.setenv("MEMTRACE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("MEMTRACE_API_KEY", KEY)
    with scripted.ScriptedServer(*[scripted.Answer(401, b'{"error": "invalid API key"}')] * 9) as server:
        monkeypatch.setenv("MEMTRACE_BASE_URL", server.url)
        ended = CliRunner().invoke(app, command)
        assert server.received[0].headers["x-api-key"] == KEY
    assert ended.exit_code != 0
    assert KEY not in ended.output
    assert_none_shown(ended.exception, caplog)
