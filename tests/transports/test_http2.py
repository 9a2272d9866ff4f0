"""HTTP/2, where the package h2 is installed: one connection for many requests, and a key that no logger writes down."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl

import pytest

from memtrace.transport import Headers, Request
from memtrace_transports import AsyncHttpxTransport, HttpxTransport
from memtrace_transports._checks.header_logs import hide_headers_from_logs
from tests.transports.http2_server import Http2Server
from tests.transports.httpx_libraries import on_httpx_and_httpx2
from tests.transports.kinds import Kind
from tests.transports.tls_server import Authority

pytestmark = pytest.mark.network

KEY, CONTENT = "mtk_KEY-planted", "CONTENT-planted"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    pytest.importorskip("h2", reason="needs the package h2")
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    return Authority(tmp_path_factory.mktemp("tls"))


def requests(url, count=3):
    headers = Headers({"x-api-key": KEY, "x-gateway-token": f"{KEY}-2"})
    return [Request("POST", url, "/", headers, CONTENT.encode(), timeout=20.0)] * count


def trusting(authority):
    return ssl.create_default_context(cafile=str(authority.ca))


def everything_said(records):
    return "\n".join(f"{record.name} {record.getMessage()} {record.args!r} {vars(record)!r}" for record in records)


def check_no_secret_was_said(caplog):
    said = everything_said(caplog.records)
    assert {"hpack.hpack", "hpack.table"} & {record.name for record in caplog.records}, "hpack logs no longer"
    assert [secret for secret in (KEY, CONTENT) if secret in said] == []
    assert "Encoded header block" not in said, "from which the key can be read"


@on_httpx_and_httpx2
@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_logger_writes_down_a_key_that_goes_over_http2(httpx, asynchronous, authority, caplog):
    caplog.set_level(1)
    for name in ("hpack", "hpack.hpack", "hpack.table"):
        caplog.set_level(1, name)
    with Http2Server(authority) as server:
        kind = Kind(httpx.__name__, asynchronous=asynchronous)
        answers = kind.send(*requests(server.url), http2=True, ca_bundle=authority.ca)
        assert [answer.json()["version"] for answer in answers] == [2, 2, 2]
        assert server.connections == 1
    check_no_secret_was_said(caplog)


@on_httpx_and_httpx2
@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_logger_writes_down_a_key_that_goes_over_http2_by_a_client_of_the_users(
    httpx, asynchronous, authority, caplog
):
    async def main(url):
        async with httpx.AsyncClient(http2=True, verify=trusting(authority)) as client:
            return [(await AsyncHttpxTransport(client).send(each)).json()["version"] for each in requests(url)]

    caplog.set_level(1)
    with Http2Server(authority) as server:
        if asynchronous:
            assert asyncio.run(main(server.url)) == [2, 2, 2]
        else:
            with httpx.Client(http2=True, verify=trusting(authority)) as client:
                transport = HttpxTransport(client)
                assert [transport.send(each).json()["version"] for each in requests(server.url)] == [2, 2, 2]
    check_no_secret_was_said(caplog)


def test_of_the_records_of_http2_those_with_numbers_alone_remain(caplog):
    caplog.set_level(1)
    for _ in range(2):
        hide_headers_from_logs()
    logger = logging.getLogger("hpack.hpack")
    assert len(logger.filters) == 1
    logger.debug("Encoding %d with %d bits", 5, 7)
    logger.debug("Adding %s=%s to the header table, huffman:%s", b"x-api-key", KEY.encode(), 1)
    logger.debug("Adding %s to the header table", (b"x-api-key", KEY.encode()))
    logger.debug("Adding %(header)s", {"header": KEY})
    logger.debug("Reading")
    assert [record.getMessage() for record in caplog.records] == ["Encoding 5 with 7 bits", "Reading"]
