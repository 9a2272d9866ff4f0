"""One measurement in a process of its own: seconds a call, of one way to send the same request.

The same file runs under this SDK and under memtrace-sdk 0.2.0, whose public API it uses.
"""

from __future__ import annotations

import asyncio
import sys
import time

BODY = b'{"agent_id":"assistant","memory_type":"episodic","event_type":"general","content":"User prefers dark mode"}'
HEADERS = {"x-api-key": "mtk_benchmark", "content-type": "application/json"}


def remember(url, calls):
    from memtrace import Memtrace

    with Memtrace(url, "mtk_benchmark") as client:
        return timed(lambda: client.remember("assistant", "User prefers dark mode"), calls)


def bare_httpx(url, calls):
    import httpx

    with httpx.Client() as client:
        target = f"{url}/api/v1/memories"
        return timed(lambda: client.send(httpx.Request("POST", target, headers=HEADERS, content=BODY)).read(), calls)


def constant(url, calls):
    """Our own share: the whole client over a transport that returns a constant."""
    from constant_server import ROW

    from memtrace import Memtrace
    from memtrace.transport import Response

    class Constant:
        def send(self, request):
            return Response(201, body=ROW)

        def close(self):
            pass

    with Memtrace(url, "mtk_benchmark", transport=Constant()) as client:
        return timed(lambda: client.remember("assistant", "User prefers dark mode"), calls)


def timed(call, calls):
    for _ in range(min(calls, 100)):
        call()
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started) / calls


def remember_async(url, calls):
    from memtrace import AsyncMemtrace

    async def main():
        async with AsyncMemtrace(url, "mtk_benchmark") as client:
            return await timed_async(lambda: client.remember("assistant", "User prefers dark mode"), calls)

    return asyncio.run(main())


def bare_httpx_async(url, calls):
    import httpx

    async def main():
        async with httpx.AsyncClient() as client:
            target = f"{url}/api/v1/memories"
            return await timed_async(
                lambda: client.send(httpx.Request("POST", target, headers=HEADERS, content=BODY)), calls
            )

    return asyncio.run(main())


async def timed_async(call, calls, at_once=50):
    async def some(count):
        for _ in range(count):
            await call()

    await asyncio.gather(*(some(2) for _ in range(at_once)))
    each = max(calls // at_once, 1)
    started = time.perf_counter()
    await asyncio.gather(*(some(each) for _ in range(at_once)))
    return (time.perf_counter() - started) / (each * at_once)


if __name__ == "__main__":
    print(globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
