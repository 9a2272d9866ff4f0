"""A server over HTTP is for those who know its token."""

import asyncio

import pytest

from memtrace.exceptions import ConfigurationError
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

mcp = Lazily("memtrace.integrations.mcp")


async def application(scope, receive, send):
    await send({"type": "passed", "scope": scope["type"]})


def sent(scope):
    messages = []

    async def send(message):
        messages.append(message)

    asyncio.run(mcp.RequireToken(application, "the token é")(scope, None, send))
    return messages


def http(*headers):
    return {"type": "http", "headers": list(headers)}


GOOD = "Bearer the token é".encode()


@pytest.mark.parametrize("value", [GOOD, GOOD.replace(b"Bearer", b"bearer"), GOOD.replace(b"r t", b"r  t")])
def test_with_the_token_it_is_let_through(value):
    assert sent(http((b"host", b"x"), (b"authorization", value))) == [{"type": "passed", "scope": "http"}]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer another")],
        [(b"authorization", GOOD.replace(b"Bearer", b"Basic"))],
        [(b"authorization", b"Bearer")],
        [(b"authorization", "the token é".encode())],
        [(b"authorization", GOOD), (b"authorization", b"Bearer another")],
        [(b"x-api-key", GOOD)],
    ],
)
def test_without_it_the_answer_is_401_and_nothing_is_passed_on(headers):
    start, body = sent(http(*headers))
    assert start["status"] == 401
    assert dict(start["headers"])[b"www-authenticate"] == b"Bearer"
    assert b"wants its token" in body["body"]
    assert int(dict(start["headers"])[b"content-length"]) == len(body["body"])


def test_the_beginning_and_the_end_of_the_application_are_no_requests():
    assert sent({"type": "lifespan"}) == [{"type": "passed", "scope": "lifespan"}]


def test_a_web_socket_is_refused():
    assert sent({"type": "websocket", "headers": [(b"authorization", GOOD)]}) == [
        {"type": "websocket.close", "code": 1008}
    ]


@pytest.mark.parametrize("token", ["", "  ", "\n"])
def test_a_token_that_everybody_knows_is_refused(token):
    with pytest.raises(ConfigurationError, match="an empty one was given"):
        mcp.RequireToken(application, token)
