"""A session's block that is cancelled, in each way that an event loop has: the session ends all the same."""

from __future__ import annotations

import asyncio
import sys

import anyio
import pytest
import trio

from memtrace_transports import FakeMemtrace


async def _open_and_wait(client, agent_id, begun):
    async with client.sessions.open(agent_id=agent_id):
        begun.set()
        await anyio.sleep_forever()


async def by_task(client, agent_id):
    begun = asyncio.Event()
    task = asyncio.create_task(_open_and_wait(client, agent_id, begun))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_scope(client, agent_id):
    begun = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_open_and_wait, client, agent_id, begun)
        await begun.wait()
        group.cancel_scope.cancel()


WAYS = [(asyncio.run, by_task), (asyncio.run, by_scope), (trio.run, by_scope)]


@pytest.mark.parametrize(("run", "cancelled"), WAYS, ids=["asyncio task", "anyio scope", "trio"])
def test_a_session_whose_block_is_cancelled_is_closed(run, cancelled):
    fake = FakeMemtrace()
    agent_id = fake.seed_agent("default", "bot")

    async def main():
        await cancelled(fake.async_client(), agent_id)

    run(main() if run is asyncio.run else main)
    assert [session.status for session in fake.client().sessions.list().sessions] == ["closed"]


def test_without_anyio_asyncios_own_cancellation_is_enough(monkeypatch):
    fake = FakeMemtrace()
    agent_id = fake.seed_agent("default", "bot")

    async def main():
        async with fake.async_client().sessions.open(agent_id=agent_id):
            monkeypatch.delitem(sys.modules, "anyio")

    asyncio.run(main())
    assert [session.status for session in fake.client().sessions.list().sessions] == ["closed"]
