"""Over streams, a message that cannot be read gets an error response, as its caller waits for one."""

from __future__ import annotations

import asyncio
import io
import json
import time

import pytest

from memtrace.integrations.tools import AsyncMemoryTools
from memtrace_transports import FakeMemtrace
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

anyio = Lazily("anyio")
mcp = Lazily("mcp")
ours = Lazily("memtrace.integrations.mcp")
messages = Lazily("memtrace.integrations.mcp._unreadable_messages")
stdio = Lazily("mcp.server.stdio")

LAST = '{"jsonrpc":"2.0","id":"last","method":"ping"}'
OPENING = [
    r'{"jsonrpc":"2.0","id":"first","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
    r'{"jsonrpc":"2.0","method":"notifications/initialized"}',
]
DEEP = '{"a":' * 300 + "1" + "}" * 300
PARSE_ERROR, INVALID_REQUEST = -32700, -32600


def responses(*lines):
    """What the server writes for these lines. Before the input ends it answers a ping that is the last one."""

    async def main():
        output = io.StringIO()

        async def incoming():
            for line in lines:
                yield line + "\n"
            while lines[-1] == LAST and '"last"' not in output.getvalue():
                await anyio.sleep(0.001)

        async with FakeMemtrace().async_client() as client:
            server = ours.memory_server(AsyncMemoryTools(client, agent_id="assistant"))
            async with stdio.stdio_server(incoming(), anyio.wrap_file(output)) as streams:
                await server.run(*streams, server.create_initialization_options())
        return [json.loads(line) for line in output.getvalue().splitlines()]

    return asyncio.run(main())


def errors(*lines):
    found = responses(*OPENING, *lines, LAST)
    assert {response["id"] for response in found if "result" in response} == {"first", "last"}
    return [(response["id"], response["error"]["code"]) for response in found if "error" in response]


CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"remember","arguments":{"content":%s}}}'


@pytest.mark.parametrize(
    ("line", "identifier"),
    [
        (CALL % r'"\ud800"', 7),
        (CALL % r'"\udfff\ud800"', 7),
        (CALL % r'{"id":8,"\ud800":1}', 7),
        (CALL % DEEP, 7),
        (CALL % ("9" * 5_000), 7),
        (CALL % "nothing", 7),
        ((CALL % '"cut')[:-4], 7),
        (CALL % '"' + "surplus", 7),
        ("\ufeff" + CALL % '""', 7),
        (r'{"params":{"id":8,"a":["id",{"id":9}],"b":"\ud800"},"method":"id","id" : "x\"y"}', 'x"y'),
        (r'{"\u0069d":-3,"method":"\ud800"}', -3),
        (r'{"id":1,"id":2,"method":"\ud800"}', 2),
        (r'{"id":"\ud800","method":"ping"}', None),
        (r'{"id":"\x","method":"ping"}', None),
        (r'{"id":1.5,"method":"\ud800"}', None),
        (r'{"id":[1],"method":"\ud800"}', None),
        ('{"id":' + "9" * 5_000 + ',"method":"ping"}', None),
        (r'["\ud800"]', None),
        ("ping", None),
        ('{"id', None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_line_that_is_no_json_gets_a_parse_error_with_the_id_of_its_request(line, identifier):
    assert errors(line) == [(identifier, PARSE_ERROR)]


@pytest.mark.parametrize(
    ("line", "identifier"),
    [
        ('{"jsonrpc":"2.0","id":7,"method":5}', 7),
        ('{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{"id":8},"params":[{"id":9}]}', "a"),
        ('{"jsonrpc":"1.0","id":7,"method":"ping"}', 7),
        ('{"id":7,"method":"ping"}', 7),
        ('{"jsonrpc":"2.0","id":7}', 7),
        ('{"jsonrpc":"2.0","id":true,"method":5}', None),
        ('{"jsonrpc":"2.0","method":5}', None),
        *(
            (f'{{"jsonrpc":"2.0","id":{id_},"method":"tools/list"}}', None)
            for id_ in ("1.0", "true", "null", "[1]", "{}")
        ),
        ("{}", None),
        ("[]", None),
        ("7", None),
        ("null", None),
    ],
)
def test_json_that_is_no_message_is_an_invalid_request(line, identifier):
    assert errors(line) == [(identifier, INVALID_REQUEST)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "  ",
        r'{"jsonrpc":"2.0","id":7,"result":"\ud800"}',
        '{"jsonrpc":"2.0","id":7,"result":5}',
        '{"jsonrpc":"2.0","id":7,"error":5}',
    ],
)
def test_an_empty_line_and_a_response_get_none(line):
    assert errors(line) == []


def test_several_are_answered_each_and_the_connection_goes_on():
    assert errors(CALL % r'"\ud800"', "[]", "", CALL % r'"\udc00"') == [
        (7, PARSE_ERROR),
        (None, INVALID_REQUEST),
        (7, PARSE_ERROR),
    ]


def test_the_first_line_of_a_connection_is_answered_too():
    (refused,) = responses(r'{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"a":"\ud800"}}')
    assert (refused["id"], refused["error"]["code"]) == (7, PARSE_ERROR)


def test_the_error_says_where_the_text_ceases_to_be_json_and_quotes_none_of_it():
    (refused,) = responses(CALL % r'"planted \ud800"')
    assert refused["error"]["message"].startswith("Parse error: Invalid JSON: ")
    assert " at line 1 column " in refused["error"]["message"]
    assert "planted" not in json.dumps(refused)


def test_an_error_of_the_transport_reaches_the_package():
    async def main():
        send, receive = anyio.create_memory_object_stream(1)
        await send.send(OSError("broken"))
        async with send, messages.AnsweredMessages(receive, send) as incoming:
            return await incoming.receive(), incoming.last_context

    error, context = asyncio.run(main())
    assert (str(error), context) == ("broken", None)


@pytest.mark.parametrize("unit", ['"', '\\"', "\\", "[", '{"id":', '"id":', '{"id":"', " ", '{"":', '"a" ', "1"])
def test_a_long_line_is_read_in_linear_time(unit):
    def cost(length):
        text = '{"' + unit * (length // len(unit))
        began = time.process_time()
        messages.top_level(text)
        return time.process_time() - began

    assert min(cost(400_000) for _ in range(2)) < 20 * max(cost(50_000), 0.01)
