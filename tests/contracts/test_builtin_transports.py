"""The built-in transports keep the public contract."""

import pytest

from memtrace.plugins import transport_registry
from memtrace.testing import AsyncTransportContract, TransportContract

pytestmark = pytest.mark.network
on_httpx2 = pytest.mark.skipif(bool(transport_registry.get("httpx2").missing()), reason="httpx2 needs Python 3.11")


class Named:
    """Names the transport."""

    library: str

    @pytest.fixture
    def spec(self):
        return transport_registry.get(self.library)


class TestHttpx(Named, TransportContract):
    library = "httpx"


class TestAsyncHttpx(Named, AsyncTransportContract):
    library = "httpx"
    backends = ("asyncio", "trio")


@on_httpx2
class TestHttpx2(Named, TransportContract):
    library = "httpx2"


@on_httpx2
class TestAsyncHttpx2(Named, AsyncTransportContract):
    library = "httpx2"
    backends = ("asyncio", "trio")


class TestRequests(Named, TransportContract):
    library = "requests"


class TestAiohttp(Named, AsyncTransportContract):
    library = "aiohttp"


class TestMemory(Named, TransportContract):
    library = "memory"
    network = False


class TestAsyncMemory(Named, AsyncTransportContract):
    library = "memory"
    network = False
    backends = ("asyncio", "trio")
