"""Answers that are cut off, coded oddly, preceded by others or contradict themselves, on every transport over a network alike."""

from __future__ import annotations

import gzip
import random
import zlib
from importlib import import_module

import pytest
import urllib3

from memtrace.exceptions import TransportError
from memtrace.transport import Headers, Request, Response
from memtrace_transports import _aiohttp, _httpx
from tests.sampling import crossed, is_whole
from tests.transports.httpx_libraries import LIBRARIES
from tests.transports.kinds import FORMS, on_every_form, on_every_kind
from tests.transports.scripted import Answer, Echo, Garbage, ScriptedServer, Stall

pytestmark = pytest.mark.network

WHOLE = random.Random(7).randbytes(3000)  # which hardly shrinks, so that a cut is a cut in the stream


def get(url, **fields):
    return Request("GET", url, "/", **{"timeout": 20.0, **fields})


def coded(body, *codings):
    return Answer(200, body, [("Content-Encoding", ", ".join(codings))])


def refused(outcome, text):
    """That it is an error of the answer, with this in its text."""
    assert isinstance(outcome, TransportError), outcome
    assert (outcome.cause, outcome.maybe_sent) == ("protocol", True)
    assert text in outcome.message


# ---- answers before the answer

FINAL = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nfirst"


@pytest.mark.parametrize(
    ("form", "interim"), crossed(FORMS, ["100 Continue", "102 Processing", "103 Early Hints"]), ids=str
)
def test_an_interim_answer_is_never_taken_for_the_answer_nor_leaves_it_to_the_next_caller(form, interim):
    steps = Stall(b"HTTP/1.1 %s\r\nLink: </a>\r\n\r\n%s" % (interim.encode(), FINAL)), Echo()
    with ScriptedServer(*steps) as server:
        first, second = form.send(get(server.url), get(server.url))
        if isinstance(first, TransportError):  # as a session of the user's may have it
            refused(first, "interim answer")
        else:
            assert (first.status, first.body) == (200, b"first")
        assert b'"line"' in second.body


@on_every_kind
def test_a_transport_of_our_own_skips_interim_answers(kind):
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3
    with ScriptedServer(Garbage(interim + FINAL)) as server:
        (answer,) = kind.send(get(server.url))
        assert (answer.status, answer.body) == (200, b"first")


@pytest.mark.parametrize("form", [form for form in FORMS if form.name == "requests"], ids=str)
def test_requests_does_not_wait_for_the_end_of_interim_answers(form):
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 150
    with ScriptedServer(Stall(interim)) as server:
        (outcome,) = form.send(get(server.url))
        refused(outcome, "interim answer")


@on_every_form
def test_a_switch_of_protocols_that_nobody_asked_for_is_an_error(form):
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: odd\r\n\r\n"
    with ScriptedServer(Stall(switch + FINAL), Echo()) as server:
        first, second = form.send(get(server.url), get(server.url))
        refused(first, "did not answer in HTTP")
        assert b'"line"' in second.body


@on_every_form
def test_an_answer_with_two_lengths_is_told_as_a_garbled_answer(form):
    lengths = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nfirst!"
    with ScriptedServer(Stall(lengths), Echo()) as server:
        first, second = form.send(get(server.url), get(server.url))
        refused(first, "did not answer in HTTP")
        assert b'"line"' in second.body


# ---- bodies that end early

WAYS = {
    "gzip": gzip.compress(WHOLE),
    "x-gzip": gzip.compress(WHOLE),
    "deflate": zlib.compress(WHOLE),
    "bare deflate": zlib.compress(WHOLE)[2:-4],
}


@pytest.mark.parametrize(
    ("form", "way", "lost", "framing"), crossed(FORMS, list(WAYS), [1, 8, 2500], ["length", "chunked"]), ids=str
)
def test_a_compressed_body_that_ends_early_is_an_error(form, way, lost, framing):
    answer = coded(WAYS[way][:-lost], way.removeprefix("bare "))
    answer.chunked = framing == "chunked"
    with ScriptedServer(answer) as server:
        (outcome,) = form.send(get(server.url))
        refused(outcome, "cannot be decompressed")


@pytest.mark.parametrize(("form", "way", "framing"), crossed(FORMS, list(WAYS), ["length", "chunked"]), ids=str)
def test_a_compressed_body_that_is_whole_comes_decompressed(form, way, framing):
    answer = coded(WAYS[way], way.removeprefix("bare "))
    answer.chunked = framing == "chunked"
    with ScriptedServer(answer, Answer(204, headers=[("Content-Encoding", "gzip")])) as server:
        whole, empty = form.send(get(server.url), get(server.url))
        assert whole.body == WHOLE
        assert (empty.status, empty.body) == (204, b"")


@on_every_form
def test_a_gzip_body_of_several_members_comes_whole(form):
    with ScriptedServer(coded(gzip.compress(WHOLE) + gzip.compress(b"more"), "gzip")) as server:
        (answer,) = form.send(get(server.url))
        assert answer.body == WHOLE + b"more"


@on_every_form
def test_what_follows_a_gzip_stream_and_is_none_is_an_error(form):
    with ScriptedServer(coded(gzip.compress(WHOLE) + b"rubbish", "gzip")) as server:
        (outcome,) = form.send(get(server.url))
        refused(outcome, "cannot be decompressed")


# ---- codings


@on_every_form
def test_several_codings_are_undone_in_turn(form):
    bodies = [
        coded(gzip.compress(gzip.compress(WHOLE)), "gzip", "gzip"),
        coded(zlib.compress(gzip.compress(WHOLE)), "GZIP", "identity", "Deflate"),
        Answer(200, gzip.compress(zlib.compress(WHOLE)), [("Content-Encoding", each) for each in ("deflate", "gzip")]),
        coded(WHOLE, "identity"),
        coded(WHOLE, ""),
    ]
    with ScriptedServer(*bodies) as server:
        assert [answer.body for answer in form.send(*[get(server.url)] * len(bodies))] == [WHOLE] * len(bodies)


@on_every_form
def test_the_inner_of_two_streams_is_seen_to_end_early_too(form):
    with ScriptedServer(coded(gzip.compress(gzip.compress(WHOLE)[:-8]), "gzip", "gzip")) as server:
        (outcome,) = form.send(get(server.url))
        refused(outcome, "cannot be decompressed")


@pytest.mark.parametrize(("form", "codings"), crossed(FORMS, ["odd", "gzip, odd", "odd, gzip"]), ids=str)
def test_a_coding_that_nobody_knows_is_named(form, codings):
    with ScriptedServer(coded(gzip.compress(WHOLE), codings), Echo()) as server:
        first, second = form.send(get(server.url), get(server.url))
        refused(first, "'odd'")
        assert b'"line"' in second.body


@on_every_form
def test_a_coding_that_is_no_word_is_told_in_short(form):
    with ScriptedServer(coded(b"", "a" * 2000)) as server:
        (outcome,) = form.send(get(server.url))
        refused(outcome, "'aaaa")
        assert len(outcome.message) < 300


@on_every_form
def test_a_body_that_was_compressed_very_often_is_refused(form):
    with ScriptedServer(coded(b"", *["gzip"] * 50)) as server:
        (outcome,) = form.send(get(server.url))
        refused(outcome, "50 times")


@pytest.fixture(scope="module")
def bombs():
    times = 1 if is_whole() else 10
    bomb = gzip.compress(b"0" * (50_000_000 // times))
    empty = gzip.compress(gzip.compress(b"") * (500_000 // times))  # whose inner stream comes to nothing
    return coded(bomb, "gzip"), coded(gzip.compress(bomb), "gzip", "gzip"), coded(empty, "gzip", "gzip")


@on_every_kind
def test_a_body_that_explodes_is_stopped_whichever_of_its_streams_does(kind, bombs):
    with ScriptedServer(*bombs) as server:
        for outcome in kind.send(*[get(server.url)] * 3, max_response_bytes=100_000):
            refused(outcome, "too long: it has more than 100000 bytes")


@on_every_kind
def test_a_compressed_body_of_just_the_bound_is_taken(kind):
    with ScriptedServer(coded(gzip.compress(b"x" * 1000), "gzip"), coded(gzip.compress(b"x" * 1001), "gzip")) as server:
        fitting, large = kind.send(*[get(server.url)] * 2, max_response_bytes=1000)
        assert fitting == Response(200, fitting.headers, b"x" * 1000)
        refused(large, "more than 1000 bytes")


@on_every_form
def test_a_coding_that_a_user_asked_for_and_the_library_has_is_undone_by_it(form):
    headers = Headers({"accept-encoding": "gzip, br, zstd"})
    with ScriptedServer(*(coded(b"this is none", coding) for coding in ("br", "zstd"))) as server:
        for outcome in form.send(*[get(server.url, headers=headers)] * 2):
            refused(outcome, "cannot be decompressed")


class Turned:
    """Stands for the decompressor of a library: turns round what it gets, and refuses what begins with an X."""

    def __init__(self):
        self._held = b""

    def decode(self, data, max_length=-1):
        if data.startswith(b"X"):
            raise RuntimeError("an X")
        return data[::-1]

    decompress = decode

    def flush(self, *given):
        return b""

    has_unconsumed_tail = False

    # aiohttp's

    def decompress_sync(self, data, max_length):
        whole = self._held + self.decode(data)
        self._held = whole[2:]
        return whole[:2]

    @property
    def data_available(self):
        return bool(self._held)


class TurnedByHttpx2(Turned):
    def decode(self, data):
        yield super().decode(data)

    def flush(self):
        yield b""


@pytest.fixture
def libraries_know_brotli(monkeypatch):
    for library in LIBRARIES:
        monkeypatch.setattr(import_module(f"{library.__name__}._client"), "ACCEPT_ENCODING", "gzip, deflate, br")
        known = import_module(f"{library.__name__}._decoders").SUPPORTED_DECODERS
        monkeypatch.setitem(known, "br", Turned if library.__name__ == "httpx" else TurnedByHttpx2)
    monkeypatch.setattr("urllib3.util.request.ACCEPT_ENCODING", "gzip,deflate,br")
    monkeypatch.setattr("urllib3.response.HTTPResponse.CONTENT_DECODERS", ["gzip", "deflate", "br"])
    decoder_of = urllib3.response._get_decoder
    monkeypatch.setattr("urllib3.response._get_decoder", lambda mode: Turned() if mode == "br" else decoder_of(mode))
    for name in ("BROTLI", "ZSTD"):
        monkeypatch.setattr(f"aiohttp.compression_utils.HAS_{name}", True)
    monkeypatch.setattr("aiohttp.compression_utils.BrotliDecompressor", Turned)
    monkeypatch.setattr("aiohttp.compression_utils.ZSTDDecompressor", Turned)
    forget = [_httpx._known_codings.cache_clear, _aiohttp._extra_decoders.cache_clear]
    for each in forget:
        each()
    yield
    for each in forget:
        each()


@on_every_form
@pytest.mark.usefixtures("libraries_know_brotli")
def test_a_coding_that_the_library_knows_is_undone_by_it(form):
    answers = [coded(b"abcdef", "br"), coded(gzip.compress(b"abc"), "br", "gzip"), coded(b"", "br")]
    with ScriptedServer(*answers) as server:
        one, two, none = form.send(*[get(server.url)] * 3)
        assert (one.body, two.body, none.body) == (b"fedcba", b"cba", b"")


@pytest.mark.parametrize("form", [form for form in FORMS if form.name == "aiohttp"], ids=str)
@pytest.mark.usefixtures("libraries_know_brotli")
def test_what_a_decompressor_of_aiohttp_refuses_is_told(form):
    with ScriptedServer(coded(b"X", "br"), coded(b"X", "zstd")) as server:
        for outcome in form.send(*[get(server.url)] * 2):
            refused(outcome, "cannot be decompressed: RuntimeError: an X")


# ---- many streams


@on_every_form
def test_a_body_of_very_many_empty_streams_is_refused(form):
    with ScriptedServer(coded(gzip.compress(b"") * 10_001, "gzip")) as server:
        (outcome,) = form.send(get(server.url))
        refused(outcome, "more than 10000 streams")
