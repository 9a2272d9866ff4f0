"""The built-in transports keep the public contract."""

import pytest

from memtrace.plugins import transports
from memtrace.testing import AsyncTransportContract, TransportContract


class TestHttpx(TransportContract):
    @pytest.fixture
    def spec(self):
        return transports.get("httpx")


class TestAsyncHttpx(AsyncTransportContract):
    backends = ("asyncio", "trio")

    @pytest.fixture
    def spec(self):
        return transports.get("httpx")


on_httpx2 = pytest.mark.skipif(bool(transports.get("httpx2").missing()), reason="httpx2 needs Python 3.11")


@on_httpx2
class TestHttpx2(TransportContract):
    @pytest.fixture
    def spec(self):
        return transports.get("httpx2")


@on_httpx2
class TestAsyncHttpx2(AsyncTransportContract):
    backends = ("asyncio", "trio")

    @pytest.fixture
    def spec(self):
        return transports.get("httpx2")


class TestRequests(TransportContract):
    @pytest.fixture
    def spec(self):
        return transports.get("requests")


class TestAiohttp(AsyncTransportContract):
    @pytest.fixture
    def spec(self):
        return transports.get("aiohttp")


class TestMemory(TransportContract):
    network = False

    @pytest.fixture
    def spec(self):
        return transports.get("memory")


class TestAsyncMemory(AsyncTransportContract):
    network = False
    backends = ("asyncio", "trio")

    @pytest.fixture
    def spec(self):
        return transports.get("memory")
