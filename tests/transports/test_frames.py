"""What a call costs beside the library's own work: frames of ours, counted, since times of a busy machine prove nothing."""

import asyncio
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import memtrace
import memtrace_transports
from memtrace import AsyncMemtrace, Memtrace
from tests.loopback import LoopbackServer
from tests.transports.httpx_libraries import on_httpx_and_httpx2

pytestmark = pytest.mark.network

MOST = 90
OURS = tuple(f"{Path(package.__file__).parent}{os.sep}" for package in (memtrace, memtrace_transports))
REQUESTS = {
    "add": lambda client, number: client.memories.add(agent_id="bot", content=f"likes tea {number}"),
    "list": lambda client, number: client.memories.list(agent_id="bot"),
}


@contextmanager
def counting():
    """The functions of ours that this thread calls meanwhile; a coroutine that goes on counts as called again."""
    called, before = [], sys.getprofile()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            called.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)


@pytest.fixture(scope="module")
def settings():
    with LoopbackServer() as server:
        yield {"base_url": server.url, "api_key": server.fake.organisation().api_key}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
@on_httpx_and_httpx2
def test_a_blocking_call_runs_at_most_90_frames_of_ours(settings, httpx, request_):
    counts = []
    with Memtrace(**settings, transport=httpx.__name__) as client:
        for number in range(5):
            with counting() as called:
                request_(client, f"{httpx.__name__} sync {number}")
            counts.append(len(called))
    assert 0 < min(counts) <= MOST, counts


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
@on_httpx_and_httpx2
def test_an_awaited_call_runs_at_most_90_frames_of_ours(settings, httpx, request_):
    async def main():
        counts = []
        async with AsyncMemtrace(**settings, transport=httpx.__name__) as client:
            for number in range(5):
                with counting() as called:
                    await request_(client, f"{httpx.__name__} async {number}")
                counts.append(len(called))
        return counts

    counts = asyncio.run(main())
    assert 0 < min(counts) <= MOST, counts
