"""What holds for every transport over a network alike: no answer goes astray, no secret gets out, no target is rewritten."""

import asyncio
import base64
import contextlib
import gc
import importlib
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import traceback
import warnings
from dataclasses import replace
from types import SimpleNamespace

import aiohttp
import pytest
import requests
import trio

from memtrace import AsyncMemtrace
from memtrace.exceptions import ClientClosedError, ConfigurationError, MemtraceError, TransportError
from memtrace.transport import Headers, Request, Response
from tests.loopback import LoopbackServer
from tests.sampling import crossed, sample
from tests.transports.kinds import (
    FORMS,
    KINDS,
    Yours,
    on_every_awaiting_kind,
    on_every_blocking_kind,
    on_every_kind,
)
from tests.transports.scripted import (
    Answer,
    CloseAfterReading,
    Drip,
    Echo,
    Garbage,
    ResetAfterReading,
    ScriptedServer,
    Stall,
    Truncate,
    Zipped,
)
from tests.transports.targets import ODD

pytestmark = pytest.mark.network


def get(url, target="/", **fields):
    return Request("GET", url, target, **{"timeout": 20.0, **fields})


def asked(answer):
    """The target that an echo was asked for."""
    return json.loads(answer.body)["line"].split()[1]


# ---- targets


def lines(server):
    return [received.partition(b"\r\n")[0].decode() for received in server.received]


@on_every_kind
def test_hundreds_of_odd_targets_reach_the_server_byte_for_byte(kind):
    with ScriptedServer() as server:
        answers = kind.send(*(get(server.url, target) for target in ODD))
        assert {type(answer) for answer in answers} == {Response}
        assert lines(server) == [f"GET {target} HTTP/1.1" for target in ODD]


@on_every_kind
def test_hundreds_of_odd_targets_pass_a_proxy_byte_for_byte(kind):
    with ScriptedServer() as proxy:
        kind.send(*(get("http://server.invalid:81", target) for target in ODD), proxy=proxy.url)
        assert lines(proxy) == [f"GET http://server.invalid:81{target} HTTP/1.1" for target in ODD]


# ---- no answer goes astray


@on_every_blocking_kind
def test_no_answers_cross_among_32_threads_with_one_transport(kind):
    answers, barrier = {}, threading.Barrier(32)

    def use(number):
        barrier.wait()
        for turn in range(5):
            answers[number, turn] = asked(transport.send(get(server.url, f"/{number}/{turn}")))

    with ScriptedServer() as server:
        transport = kind.make(max_connections=8)
        threads = [threading.Thread(target=use, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        transport.close()
        assert answers == {(number, turn): f"/{number}/{turn}" for number in range(32) for turn in range(5)}
        assert len(set(server.ports)) <= 8


@on_every_awaiting_kind
def test_no_answers_cross_among_32_tasks_with_one_transport(kind):
    async def main():
        transport = kind.make(max_connections=8)

        async def use(number):
            return [asked(await transport.send(get(server.url, f"/{number}/{turn}"))) for turn in range(5)]

        answers = await asyncio.gather(*(use(number) for number in range(32)))
        await transport.close()
        return answers

    with ScriptedServer() as server:
        assert asyncio.run(main()) == [[f"/{number}/{turn}" for turn in range(5)] for number in range(32)]
        assert len(set(server.ports)) <= 8


@on_every_awaiting_kind
def test_no_answers_cross_among_threads_with_an_event_loop_each(kind):
    transport, answers = kind.make(), {}

    async def use(number):
        answers[number] = [asked(await transport.send(get(server.url, f"/{number}/{turn}"))) for turn in range(20)]
        await asyncio.sleep(0)
        barrier.wait(20)  # nobody closes before all are done
        await transport.close()

    with ScriptedServer() as server:
        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=asyncio.run, args=(use(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {number: [f"/{number}/{turn}" for turn in range(20)] for number in range(4)}
        assert len(set(server.ports)) == 4


FORKED = """
    import asyncio, json, os, sys
    from memtrace.plugins import transport_registry
    from memtrace.transport import Request, TransportOptions

    name, form, url = sys.argv[1:]
    spec = transport_registry.get(name)
    transport = (spec.create_async if form == "async" else spec.create)(TransportOptions())

    def request(who, turn):
        return Request("GET", url, f"/{who}/{turn}", timeout=20.0)

    def is_crossed(answer, who, turn):
        return json.loads(answer.body)["line"].split()[1] != f"/{who}/{turn}"

    def crossed(who):
        if form == "sync":
            return sum(is_crossed(transport.send(request(who, turn)), who, turn) for turn in range(50))

        async def all_together():
            answers = await asyncio.gather(*(transport.send(request(who, turn)) for turn in range(50)))
            return sum(is_crossed(answer, who, turn) for turn, answer in enumerate(answers))

        loop = parents if os.getpid() == parent else asyncio.new_event_loop()
        return loop.run_until_complete(all_together())

    parent, parents = os.getpid(), asyncio.new_event_loop()
    found = [crossed("before")]
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            os._exit(crossed(f"child{number}"))
        children.append(child)
    found.append(crossed("parent"))
    found.extend(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    print(found, flush=True)
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("kind", sample(KINDS, 1), ids=str)
def test_none_of_200_answers_cross_among_forked_children_that_share_a_transport(kind):
    script = textwrap.dedent(FORKED)
    with ScriptedServer() as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, *str(kind).split(), server.url],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("[0, 0, 0, 0, 0, 0]\n", "")
        assert len(server.received) == 300


# ---- time


@pytest.mark.parametrize(("form", "timeout"), crossed(FORMS, [0.0, 0, -1.0, float("nan")]), ids=str)
def test_a_request_whose_time_is_over_is_not_sent(form, timeout):
    with ScriptedServer() as server:
        (error,) = form.send(get(server.url, timeout=timeout))
        assert isinstance(error, TransportError)
        assert (error.cause, error.maybe_sent) == ("timeout", False)
        assert "was not sent" in error.message
        assert server.connections == 0


@pytest.mark.slow
@pytest.mark.parametrize("form", sample(FORMS, 6), ids=str)
def test_a_body_that_drips_without_end_is_left_at_the_bound(form):
    with ScriptedServer(Echo(), Drip(0.05, 400)) as server:
        _, error = form.send(get(server.url), get(server.url, timeout=0.3))
        assert isinstance(error, TransportError)
        assert (error.cause, error.maybe_sent) == ("timeout", True)


@pytest.mark.parametrize("kind", [kind for kind in FORMS if str(kind) in ("httpx sync", "httpx2 sync")], ids=str)
def test_a_thread_that_finds_no_free_connection_has_sent_nothing(kind):
    def use():
        with contextlib.suppress(TransportError):
            transport.send(get(server.url, timeout=None))

    with ScriptedServer(Stall()) as server:
        transport = kind.make(max_connections=1, pool_timeout=0.05)
        thread = threading.Thread(target=use)
        thread.start()
        until_received(server)
        with pytest.raises(TransportError, match="all connections are in use") as caught:
            transport.send(get(server.url))
        server.ended.set()
        thread.join()
        transport.close()
    assert (caught.value.cause, caught.value.maybe_sent) == ("timeout", False)


# ---- closing while a request is on its way


def post(url):
    return Request("POST", url, "/", body=b"{}", timeout=20.0)


def until_received(server):
    while not server.received:
        threading.Event().wait(0.01)


def own_client(transport):
    """What `close` leaves open, of a transport on its user's client."""
    clients = transport._sessions if hasattr(transport, "_sessions") else transport._clients
    return clients._given


@pytest.mark.slow
@pytest.mark.parametrize("form", sample([form for form in FORMS if not form.asynchronous], 3), ids=str)
def test_closing_in_another_thread_denies_no_request_that_the_server_has(form):
    outcomes = []

    def use():
        try:
            outcomes.append(transport.send(post(server.url)))
        except MemtraceError as error:
            outcomes.append(error)

    with ScriptedServer(Answer(pause=0.3)) as server:
        transport = form.make()
        thread = threading.Thread(target=use)
        thread.start()
        until_received(server)
        closing = own_client(transport) or transport
        (closing._client if hasattr(closing, "_client") else closing).close()
        thread.join()
        (outcome,) = outcomes
        if not isinstance(outcome, Response):
            assert (type(outcome), outcome.cause, outcome.maybe_sent) == (TransportError, "reset", True)
        transport.close()
        with pytest.raises(ClientClosedError):
            transport.send(post(server.url))
        assert len(server.received) == 1


@pytest.mark.parametrize("form", [form for form in FORMS if form.asynchronous], ids=str)
def test_closing_in_another_task_denies_no_request_that_the_server_has(form):
    async def main():
        transport = form.make()
        sending = asyncio.create_task(transport.send(post(server.url)))
        await asyncio.to_thread(until_received, server)
        channel = await transport._channels.get()
        await (channel if isinstance(form, Yours) else transport).close()
        with pytest.raises(TransportError) as caught:
            await sending
        assert (caught.value.cause, caught.value.maybe_sent) == ("reset", True)
        with pytest.raises(ClientClosedError):
            await transport.send(post(server.url))
        await transport.close()

    with ScriptedServer(Stall()) as server:
        asyncio.run(main())
        assert len(server.received) == 1


@pytest.mark.slow
@on_every_awaiting_kind
def test_a_client_of_several_event_loops_leaves_no_connection_behind_where_one_ends(kind):
    async def use(client):
        await asyncio.gather(*(client.memories.list() for _ in range(3)))

    with LoopbackServer() as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        client = AsyncMemtrace(server.url, server.fake.organisation().api_key, transport=kind.name)
        for _ in range(3):
            asyncio.run(use(client))
        asyncio.run(client.close())
        gc.collect()
    assert [str(each.message) for each in warned if each.category is ResourceWarning] == []


# ---- secrets


KEY, CONTENT, PASSWORD = "KEY-planted", "CONTENT-planted", "PASSWORD-planted"
SECRETS = (KEY, CONTENT, PASSWORD, base64.b64encode(f"me:{PASSWORD}".encode()).decode())


def said_by(record):
    """All that any handler could make of it."""
    yield logging.Formatter().format(record)
    yield repr(record.args)
    yield repr(vars(record))
    if record.exc_info:
        yield from told_by(record.exc_info[1])


def told_by(error):
    """All that an error and those behind it say."""
    yield from traceback.format_exception(error)
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        error = error.__cause__ or error.__context__


@pytest.mark.slow
@on_every_kind
def test_no_log_record_of_any_library_and_no_error_holds_a_secret(kind, caplog):
    caplog.set_level(1)
    steps = (
        Answer(body=CONTENT.encode()),
        ResetAfterReading(),
        CloseAfterReading(),
        Garbage(),
        Truncate(),
        Zipped(200, CONTENT.encode(), broken=True),
        Echo(),
        Stall(),
    )
    with ScriptedServer(*steps) as server:
        request = Request("POST", server.url, "/", Headers({"x-api-key": KEY}), CONTENT.encode(), timeout=20.0)
        outcomes = kind.send(*[request] * (len(steps) - 1), replace(request, timeout=0.3))
        assert all(KEY.encode() in received and CONTENT.encode() in received for received in server.received)
        assert len(server.received) == len(steps)
    with ScriptedServer(Answer(), Answer(407)) as proxy:
        address = proxy.url.replace("//", f"//me:{PASSWORD}@")
        through = [
            get(f"{scheme}://server.invalid", headers=Headers({"x-api-key": KEY})) for scheme in ("http", "https")
        ]
        outcomes += kind.send(*through, proxy=address)
        assert len(proxy.received) == 2
    assert [type(outcome) for outcome in outcomes] == [
        Response, *[TransportError] * 5, Response, TransportError, Response, TransportError
    ]  # fmt: skip
    told = [saying for record in caplog.records for saying in said_by(record)]
    assert told
    for outcome in outcomes:
        if isinstance(outcome, TransportError):
            told.extend(told_by(outcome))
    everything = "\n".join(told)
    assert [secret for secret in SECRETS if secret in everything] == []


# ---- construction


@pytest.mark.parametrize(("kind", "option"), crossed(KINDS, ["ca_bundle", "client_cert"]), ids=str)
def test_a_file_that_holds_no_certificate_is_told_at_construction(kind, option, tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    with pytest.raises(ConfigurationError, match=rf"options\.{option}"):
        kind.make(**{option: broken})


@on_every_kind
def test_a_missing_verification_is_warned_of_at_construction_and_once(kind):
    with pytest.warns(UserWarning, match="verify=False") as warned:
        transport = kind.make(verify=False)
    with ScriptedServer() as server:  # where a warning would be an error
        if kind.asynchronous:

            async def main():
                assert (await transport.send(get(server.url))).status == 200
                await transport.close()

            asyncio.run(main())
        else:
            assert transport.send(get(server.url)).status == 200
            transport.close()
    assert len(warned) == 1


# ---- the end of the interpreter


def no_thread(*_):
    raise RuntimeError("cannot schedule new futures after interpreter shutdown")


@on_every_awaiting_kind
def test_where_no_thread_can_be_had_the_first_request_is_sent_all_the_same(kind, monkeypatch):
    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", no_thread)
    with ScriptedServer() as server:
        (answer,) = kind.send(get(server.url))
        assert answer.status == 200


@on_every_awaiting_kind
def test_where_no_thread_can_look_up_the_host_nothing_is_sent_and_the_error_says_so(kind, monkeypatch):
    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", no_thread)
    (error,) = kind.send(get("http://localhost:9"))
    assert isinstance(error, TransportError)
    assert (error.cause, error.maybe_sent) == ("connect", False)
    assert "no thread could be started: the host of" in str(error)


# ---- failures that a retry cannot change

HEAD_TOO_LONG = b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 200_000 + b"\r\ncontent-length: 2\r\n\r\n{}"
MANY_LINES = b"HTTP/1.1 200 OK\r\n" + b"x-many: 1\r\n" * 30_000 + b"content-length: 2\r\n\r\n{}"


@on_every_kind
@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        pytest.param(Answer(200, b"a" * 2_000), True, id="too long"),
        pytest.param(Answer(200, b"a", [("content-encoding", "pigeon")]), True, id="unknown coding"),
        pytest.param(Answer(200, b"a", [("content-encoding", ", ".join(["gzip"] * 6))]), True, id="many codings"),
        pytest.param(Garbage(HEAD_TOO_LONG), True, id="long header"),
        pytest.param(Garbage(MANY_LINES), True, id="many headers"),
        pytest.param(Answer(200, b"a", [("content-encoding", "gzip")]), False, id="broken gzip"),
        pytest.param(CloseAfterReading(), False, id="closed"),
        pytest.param(Truncate(), False, id="cut"),
        pytest.param(Garbage(), False, id="no HTTP"),
    ],
)
def test_a_failure_says_whether_the_same_request_would_fail_again(kind, answer, permanent):
    with ScriptedServer(answer) as server:
        (error,) = kind.send(get(server.url), max_response_bytes=1_000)
    assert isinstance(error, TransportError)
    assert (error.permanent, error.maybe_sent) == (permanent, True)


@on_every_kind
def test_a_request_that_cannot_be_written_is_not_tried_again(kind):
    with ScriptedServer() as server:
        (error,) = kind.send(get(server.url, headers=Headers({"x-bad": "a\nb"})))
    assert isinstance(error, TransportError)
    assert (error.permanent, error.maybe_sent) == (True, False)


CHANNEL = SimpleNamespace(session=SimpleNamespace(trust_env=False, closed=False), slots=object())


@on_every_kind
def test_too_many_redirects_are_not_followed_again(kind):
    if kind.name == "requests":
        import memtrace_transports._requests as module

        error = module._failure(requests.TooManyRedirects("30"), module._SendAttempt(get("http://x"), None))
    elif kind.name == "aiohttp":
        import memtrace_transports._aiohttp as module

        error = module._failure(aiohttp.TooManyRedirects(None, ()), get("http://x"), CHANNEL, None)
    else:
        import memtrace_transports._httpx as module

        library = importlib.import_module(kind.name)
        error = module._failure(library, library.TooManyRedirects("20"), get("http://x"), None, None)
    assert isinstance(error, TransportError)
    assert error.permanent


@on_every_awaiting_kind
def test_where_trio_has_no_thread_the_first_request_is_sent_all_the_same(kind, monkeypatch):
    if kind.name == "aiohttp":
        pytest.skip("it is asyncio's alone")
    monkeypatch.setattr("trio.to_thread.run_sync", no_thread_of_trio)
    with ScriptedServer() as server:

        async def main():
            transport = kind.make()
            answer = await transport.send(get(server.url))
            await transport.close()
            return answer.status

        assert trio.run(main) == 200


async def no_thread_of_trio(*_):
    raise RuntimeError("can't start new thread")
