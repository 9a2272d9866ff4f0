"""What the nox session `alone` runs, where one HTTP library is installed and the others are not: python -m tests.alone httpx."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec

from memtrace import AsyncMemtrace, Memtrace, TransportNotAvailableError
from memtrace_transports import FakeMemtrace
from tests.loopback import LoopbackServer

FORMS = {
    "httpx": {"sync", "async"},
    "httpx2": {"sync", "async"},
    "requests": {"sync"},
    "aiohttp": {"async"},
    "none": set(),
}


def blocking(url, key):
    with Memtrace(url, key) as client:
        client.remember("assistant", "blocking")
        return client.recall("assistant").count


def awaiting(url, key):
    async def main():
        async with AsyncMemtrace(url, key) as client:
            await client.remember("assistant", "awaiting")
            return (await client.recall("assistant")).count

    return asyncio.run(main())


def main(library):
    for name in FORMS.keys() - {"none"}:
        assert (find_spec(name) is not None) == (name == library), name
    fake = FakeMemtrace()
    with LoopbackServer(fake) as server:
        for form, call in (("sync", blocking), ("async", awaiting)):
            try:
                assert call(server.url, fake.organisation().api_key) > 0
                assert form in FORMS[library]
            except TransportNotAvailableError as error:
                assert form not in FORMS[library]
                assert "pip install" in error.hint
    assert blocking("memory://", "any key") == awaiting("memory://", "any key") == 1
    print(f"with {library} alone: {', '.join(sorted(FORMS[library])) or 'the fake only'}")  # noqa: T201  # a script that says what it saw


if __name__ == "__main__":
    main(sys.argv[1])
