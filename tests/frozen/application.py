"""An application that knows its transports by name alone: calls a server through each that its arguments name."""

import asyncio
import sys

from memtrace import AsyncMemtrace, Memtrace

SYNC = ("httpx", "httpx2", "requests")
ASYNC = ("aiohttp", "httpx", "httpx2")


def blocking(url, key, transport):
    with Memtrace(url, key, transport=transport) as client:
        client.remember("bot", f"sync by {transport}")
        return client.health().status


async def awaiting(url, key, transport):
    async with AsyncMemtrace(url, key, transport=transport) as client:
        await client.remember("bot", f"async by {transport}")
        return (await client.health()).status


def main():
    url, key, *transports = sys.argv[1:]
    with Memtrace("memory://", "any key") as fake:
        fake.remember("bot", "kept in this process")
        print("memory", fake.recall("bot").count)  # noqa: T201  # an application that shows what it saw
    for transport in transports:
        if transport in SYNC:
            print(transport, "sync", blocking(url, key, transport))  # noqa: T201  # as above
        if transport in ASYNC:
            print(transport, "async", asyncio.run(awaiting(url, key, transport)))  # noqa: T201  # as above


if __name__ == "__main__":
    main()
