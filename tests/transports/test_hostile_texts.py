"""What a server, or a proxy before it, writes into its answer is escaped, cut and encodable in errors, hints, logs and spans."""

from __future__ import annotations

import asyncio
import json
import logging
import unicodedata

import pytest

from memtrace import AsyncMemtrace, Memtrace, MemtraceError, RetryPolicy
from memtrace.transport import TransportOptions
from tests.sampling import crossed
from tests.transports.kinds import KINDS
from tests.transports.scripted import Garbage, ScriptedServer

pytestmark = pytest.mark.network

LONGEST = 3000
#: What a terminal obeys as ESC and as the C1 control of the same sense, line ends of three kinds, writing from the right, and a
#: byte that is no UTF-8, which aiohttp reads as half a character.
HOSTILE = b"\x1b[31m\x9b31m \xc2\x9b31m\x85\xc2\x85\xe2\x80\xa8\xe2\x80\xae\xff\xed\xa0\x80" + b"x" * 5000
TEXT = "\x1b[31m\r\nforged: line\u2028\u202e\u009b31m\ud800" + "x" * 5000


def answer(status=b"200 OK", body=b"{}", **fields):
    lines = [b"HTTP/1.1 " + status, b"Connection: close"]
    lines += [name.replace("_", "-").encode() + b": " + value for name, value in fields.items()]
    return b"\r\n".join([*lines, b"", body])


def in_json(**texts):
    return json.dumps(texts).encode()


def stats_of(kind):
    """An answer of stats that is right but for a count."""
    counts = dict.fromkeys(["memory_count", "memories_24h", "errors_24h", "session_count", "active_sessions"], 0)
    return in_json(agent_id="a", **counts, memory_types={kind: "many"})


ANSWERS = {
    "no HTTP": HOSTILE + b"\r\n\r\n",
    "status line": b"HTTP/1.1 " + HOSTILE + b"\r\n\r\n",
    "version": b"HTTP/" + HOSTILE + b" 200 OK\r\n\r\n",
    "reason": answer(b"418 " + HOSTILE),
    "field without a colon": answer(b"200 OK\r\n" + HOSTILE),
    "name of a field": answer(b"200 OK\r\n" + HOSTILE + b": 1"),
    "length": answer(Content_Length=HOSTILE),
    "lengths": answer(b"200 OK\r\nContent-Length: 1\r\nContent-Length: " + HOSTILE),
    "length of 5,000 digits": answer(Content_Length=b"9" * 5000),
    "transfer coding": answer(Transfer_Encoding=HOSTILE),
    "chunk": answer(body=HOSTILE + b"\r\n", Transfer_Encoding=b"chunked"),
    "coding": answer(Content_Encoding=HOSTILE),
    "codings": answer(Content_Encoding=b"gzip, " * 5000),
    "content type": answer(body=b"no JSON", Content_Type=HOSTILE),
    "location": answer(b"301 x", Location=b"http://other/" + HOSTILE),
    "retry-after": answer(b"429 x", Retry_After=HOSTILE, Date=HOSTILE),
    "body": answer(b"500 x", HOSTILE, Content_Type=HOSTILE),
    "body without an error": answer(b"404 x", in_json(message=TEXT)),
    "error": answer(b"500 x", in_json(error=TEXT, hint=TEXT)),
    "refusal": answer(b"400 x", in_json(error="invalid tag: invalid tag format: " + TEXT, hint=TEXT)),
    "conflict": answer(b"409 x", in_json(error=TEXT)),
    "no arc": answer(b"503 x", in_json(error="no arc instance: " + TEXT, hint=TEXT)),
    "foreign key": answer(b"404 x", in_json(error="FOREIGN KEY " + TEXT)),
    "key of an answer": answer(body=stats_of(TEXT[:-5000])),
    "long key of an answer": answer(body=stats_of("\x1b" * 5000)),
}


def failure(kind, url, call, **options):
    """What the call raises, or None."""
    settings = {"retry": RetryPolicy(max_attempts=1), "transport": kind.name, "timeout": 20.0, **options}

    async def awaited():
        async with AsyncMemtrace(url, "mtk_planted", **settings) as client:
            await call(client)

    def blocking():
        with Memtrace(url, "mtk_planted", **settings) as client:
            call(client)

    try:
        asyncio.run(awaited()) if kind.asynchronous else blocking()
    except MemtraceError as error:
        return error
    return None


def check(text):
    assert not [sign for sign in text if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"}], ascii(text)
    assert "\u202e" not in text
    text.encode()
    assert len(text) < LONGEST
    assert "mtk_planted" not in text


@pytest.mark.parametrize(("kind", "name"), crossed(KINDS, list(ANSWERS)), ids=str)
def test_the_text_of_an_answer(kind, name, caplog):
    with ScriptedServer(*[Garbage(ANSWERS[name])] * 2) as server, caplog.at_level(logging.DEBUG, "memtrace"):
        for call in (lambda client: client.agents.stats("a"), lambda client: client.agents.delete("a")):
            error = failure(kind, server.url, call)
            if error is None:
                assert name == "reason"
                continue
            for text in (str(error), error.message, error.hint or "", *error.__notes__):
                check(text)
    for record in caplog.records:
        if record.name.startswith("memtrace"):
            check(record.getMessage())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_text_of_a_proxy(kind):
    refusal = answer(b"403 " + HOSTILE, HOSTILE)
    with ScriptedServer(Garbage(refusal)) as proxy:
        error = failure(
            kind,
            "https://memtrace.example",
            lambda client: client.health(),
            transport_options=TransportOptions(proxy=proxy.url),
        )
    assert error.maybe_applied is False
    check(str(error))
