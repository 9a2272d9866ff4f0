"""One way to send the same request, measured in a process of its own.

It reads numbers of calls from its standard input, and answers each with the seconds a call: of the wall's clock, and of this
process's work. The same file runs under this SDK and under memtrace-sdk 0.2.0, whose public API it uses.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager, contextmanager

BODY = b'{"agent_id":"assistant","memory_type":"episodic","event_type":"general","content":"User prefers dark mode"}'
HEADERS = {"x-api-key": "mtk_benchmark", "content-type": "application/json"}
PATH = "/api/v1/memories"
AT_ONCE = 50


# ---- blocking -------------------------------------------------------------------------------------------------------


@contextmanager
def remember(url, **settings):
    from memtrace import Memtrace

    with Memtrace(url, "mtk_benchmark", **settings) as client:
        yield lambda: client.remember("assistant", "User prefers dark mode")


def remember_requests(url):
    return remember(url, transport="requests")


def constant(url):
    """Our own share: the whole client over a transport that returns a constant."""
    return remember(url, transport=Constant())


def constant_and_five(url):
    """The same with five middlewares of a user's."""
    return remember(url, transport=Constant(), middleware=[pass_on] * 5)


class Constant:
    def __init__(self):
        from constant_server import ROW

        from memtrace.transport import Response

        self.response = Response(201, body=ROW)

    def send(self, request):
        return self.response

    def close(self):
        pass


def pass_on(request, call_next):
    response = yield from call_next(request)
    return response  # as the documentation writes it


@contextmanager
def bare_httpx(url):
    import httpx

    with httpx.Client() as client:
        yield lambda: client.send(httpx.Request("POST", url + PATH, headers=HEADERS, content=BODY)).read()


@contextmanager
def bare_requests(url):
    import requests

    with requests.Session() as session:

        def call():
            prepared = session.prepare_request(requests.Request("POST", url + PATH, headers=HEADERS, data=BODY))
            settings = session.merge_environment_settings(prepared.url, {}, None, None, None)
            return session.send(prepared, timeout=30, allow_redirects=False, **settings).content

        yield call


@contextmanager
def prepared_requests(url):
    """As little as requests can do: a request that was prepared once, and no look at the environment."""
    import requests

    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("POST", url + PATH, headers=HEADERS, data=BODY))
        yield lambda: session.send(prepared).content


# ---- at once --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def remember_async(url, **settings):
    from memtrace import AsyncMemtrace

    async with AsyncMemtrace(url, "mtk_benchmark", **settings) as client:
        yield lambda: client.remember("assistant", "User prefers dark mode")


def remember_async_aiohttp(url):
    return remember_async(url, transport="aiohttp")


@asynccontextmanager
async def bare_httpx_async(url):
    import httpx

    async with httpx.AsyncClient() as client:
        yield lambda: client.send(httpx.Request("POST", url + PATH, headers=HEADERS, content=BODY))


@asynccontextmanager
async def bare_aiohttp_async(url):
    import aiohttp

    async def call():
        async with session.post(url + PATH, headers=HEADERS, data=BODY) as answer:
            return await answer.read()

    async with aiohttp.ClientSession() as session:
        yield call


# ---- measuring ------------------------------------------------------------------------------------------------------


def clocks():
    return time.perf_counter(), time.process_time()


def answer(started, calls):
    print(json.dumps([(now - then) / calls for now, then in zip(clocks(), started)]), flush=True)  # noqa: B905  # two of each


def measure(way):
    with way as call:
        for line in sys.stdin:
            calls = int(line)
            for _ in range(min(calls, 20)):
                call()
            started = clocks()
            for _ in range(calls):
                call()
            answer(started, calls)


async def measure_at_once(way):
    async def some(count):
        for _ in range(count):
            await call()

    async with way as call:
        for line in sys.stdin:
            each = max(int(line) // AT_ONCE, 1)
            await asyncio.gather(*(some(2) for _ in range(AT_ONCE)))
            started = clocks()
            await asyncio.gather(*(some(each) for _ in range(AT_ONCE)))
            answer(started, each * AT_ONCE)


if __name__ == "__main__":
    chosen = globals()[sys.argv[1]](sys.argv[2])
    if hasattr(chosen, "__aenter__"):
        asyncio.run(measure_at_once(chosen))
    else:
        measure(chosen)
