"""One line an attempt, and nothing in any record that is a secret or a content."""

import asyncio
import logging
import pickle
import traceback

import pytest

from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.exceptions import MemtraceError, TransportError
from memtrace.middleware._logging import log_attempts
from memtrace.models import AddMemoryRequest
from memtrace.transport import Response
from memtrace_transports import AsyncHttpxTransport, HttpxTransport
from tests.conftest import AsyncScript, Script
from tests.dealing import by_driver
from tests.faces import ONCE
from tests.transports.scripted import Answer, Refuse, ResetAfterReading, ScriptedServer

KEY = "planted-key-4711"
CONTENT = "planted content of a memory"


class Kept(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def records(caplog):
    """Every record of every logger, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    handler = Kept()
    logging.getLogger().addHandler(handler)
    yield handler.records
    logging.getLogger().removeHandler(handler)


def ours(records):
    return [record for record in records if record.name == "memtrace"]


def test_a_success_is_one_line_at_debug_with_its_fields(runner, records):
    def slow(request):
        runner.clock.now += 0.25
        return Response(201)

    runner.call(log_attempts, slow, target="/api/v1/memories?agent_id=planted")
    (record,) = ours(records)
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == "memories.add: POST /api/v1/memories -> 201 in 250.0 ms (attempt 1)"
    assert {name: value for name, value in vars(record).items() if name.startswith("memtrace_")} == {
        "memtrace_operation": "memories.add",
        "memtrace_method": "POST",
        "memtrace_path": "/api/v1/memories",
        "memtrace_status": 201,
        "memtrace_attempt": 1,
        "memtrace_seconds": 0.25,
    }
    assert record.exc_info is None
    assert record.stack_info is None


@by_driver(
    ("status", "level"),
    [
        (200, logging.DEBUG),
        (204, logging.DEBUG),
        (409, logging.DEBUG),
        (302, logging.WARNING),
        (400, logging.WARNING),
        (401, logging.WARNING),
        (404, logging.WARNING),
        (500, logging.WARNING),
        (503, logging.WARNING),
    ],
)
def test_failures_warn_but_an_expected_duplicate_does_not(runner, records, status, level):
    runner.call(log_attempts, status)
    (record,) = ours(records)
    assert (record.levelno, record.memtrace_status) == (level, status)


def test_a_status_that_the_call_accepts_is_no_failure(runner, records):
    runner.context.accepts = frozenset({503})
    runner.call(log_attempts, 503)
    assert [record.levelno for record in ours(records)] == [logging.DEBUG]


@by_driver("cause", ["connect", "timeout", "reset", "protocol"])
def test_a_failed_transport_warns_with_its_cause_and_status_0(runner, records, cause):
    error = TransportError(f"{CONTENT} {KEY}", cause=cause)
    with pytest.raises(TransportError) as caught:
        runner.call(log_attempts, error)
    assert caught.value is error
    (record,) = ours(records)
    assert (record.levelno, record.memtrace_status, record.exc_info) == (logging.WARNING, 0, None)
    assert f"-> {cause} in" in record.getMessage()


def test_below_the_level_of_the_logger_nothing_is_made(runner, records, caplog):
    caplog.set_level(logging.ERROR, logger="memtrace")
    with pytest.raises(TransportError):
        runner.call(log_attempts, TransportError("x", cause="connect"))
    runner.call(log_attempts, 503)
    assert ours(records) == []


def test_each_attempt_has_a_line_and_a_number(runner, records):
    def thrice(request, call_next):
        for _ in range(2):
            yield from call_next(request)
        return (yield from call_next(request))

    runner.call([thrice, log_attempts], 503, 409, 201)
    assert [(record.memtrace_attempt, record.memtrace_status) for record in ours(records)] == [
        (1, 503),
        (2, 409),
        (3, 201),
    ]


def test_what_is_not_wanted_is_not_made(runner, caplog):
    caplog.set_level(logging.ERROR, "memtrace")
    runner.call(log_attempts, 500)
    runner.call(log_attempts, 200)
    assert caplog.records == []


def test_an_application_without_logging_is_not_written_to():
    handlers = logging.getLogger("memtrace").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


# ---- planted secrets


def leaks(records):
    """Where a planted text shows: in a message, an argument, a field, a formatted or pickled record, or a traceback."""
    found = []
    formatter = logging.Formatter("%(message)s %(args)s %(exc_text)s %(stack_info)s")
    for record in records:
        texts = [record.getMessage(), repr(record.args), repr(vars(record)), formatter.format(record)]
        texts += [f"{argument!s} {argument!r}" for argument in record.args or ()]
        if record.exc_info:
            texts += traceback.format_exception(*record.exc_info)
        found += [(record.name, text) for text in texts if "planted" in text]
    return found


STEPS = [
    Answer(201, b'{"error": "no row"}'),
    Answer(400, b'{"error": "agent_id is required"}'),
    Answer(500, b"engine"),
    Answer(302, headers=[("Location", "http://127.0.0.1/elsewhere")]),
    Answer(503, b'{"error": "no arc instance configured for this org"}'),
    ResetAfterReading(),
]


@pytest.mark.network
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{type(step).__name__} {getattr(step, 'status', '')}")
def test_neither_key_nor_content_is_in_a_record_error_or_repr_of_a_call_by_httpx(records, step):
    errors = []

    with ScriptedServer(step, step) as server:
        with Memtrace(server.url, KEY, retry=ONCE) as client, pytest.raises(MemtraceError) as caught:
            client.remember("assistant", CONTENT)
        errors.append(caught.value)

        async def main():
            async with AsyncMemtrace(server.url, KEY, retry=ONCE) as client:
                with pytest.raises(MemtraceError) as caught:
                    await client.remember("assistant", CONTENT)
                errors.append(caught.value)
                return repr(client)

        shown = f"{client!r} {asyncio.run(main())}"
        assert len(server.received) == 2
        assert all(KEY.encode() in sent and CONTENT.encode() in sent for sent in server.received)
    assert {"memtrace", "httpcore.http11"} <= {record.name for record in records}
    assert leaks(records) == []
    for error in errors:
        while error is not None:
            shown += f"{error} {error!r} {vars(error)} {error.args}"
            shown += "".join(traceback.format_exception(error))
            error = error.__cause__ or error.__context__  # noqa: PLW2901 - down the chain
    assert "planted" not in shown
    assert all(b"planted" not in pickle.dumps(error) for error in errors)


@pytest.mark.slow
@pytest.mark.network
def test_neither_is_in_what_a_refused_connection_tells(records):
    with Refuse() as server, Memtrace(server.url, KEY) as client, pytest.raises(TransportError) as caught:
        client.remember("assistant", CONTENT)
    assert leaks(records) == []
    assert "planted" not in "".join(traceback.format_exception(caught.value))


def test_reprs_of_what_holds_the_key_hide_it():
    with Memtrace("http://server", KEY, headers={"x-tenant": "planted-header"}) as client:
        dispatcher = client._dispatcher
        for thing in (client, client.memories, dispatcher, dispatcher.settings, dispatcher._headers):
            assert "planted" not in f"{thing!r} {thing!s}"


@pytest.mark.parametrize("transport", [Script, HttpxTransport])
def test_reprs_of_clients_and_transports_name_no_secret(transport):
    with Memtrace("http://server", KEY, transport=transport()) as client:
        assert repr(client) == f"Memtrace('http://server', transport='{transport.__name__}')"
    for asynchronous in (AsyncScript, AsyncHttpxTransport):
        client = AsyncMemtrace("http://server", KEY, transport=asynchronous())
        assert repr(client) == f"AsyncMemtrace('http://server', transport='{asynchronous.__name__}')"


def test_no_error_of_validation_repeats_a_content(records):
    client = Memtrace("http://server", KEY, transport=Script())
    with pytest.raises(ValueError, match="importance") as caught:
        client.add_memory(AddMemoryRequest(agent_id="a", content=CONTENT, importance=7))
    assert "planted" not in str(caught.value)
    with pytest.raises(MemtraceError) as caught:
        client.memories.add(agent_id="a", content=CONTENT, tags=["a b"])
    assert "planted" not in str(caught.value)
    assert leaks(records) == []
