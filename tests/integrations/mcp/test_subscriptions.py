"""Clients of both eras are told of changed resources."""

from __future__ import annotations

import asyncio

import pytest

from tests.lazily import Lazily

pytestmark = pytest.mark.framework

mcp = Lazily("mcp")
bus = Lazily("mcp.server.subscriptions")
subscriptions = Lazily("memtrace.integrations.mcp._subscriptions")
types = Lazily("mcp.types")

MEMORIES = "memtrace://agents/a/memories"
CONTEXT = "memtrace://sessions/sess_1/context"
PATIENCE = 30
WRITE = {"agent_id": "a", "content": "User likes tea", "session_id": "sess_1"}


@pytest.mark.parametrize("era", ["auto"], indirect=True)
class TestListening:
    def test_a_write_and_a_registration_are_told_to_who_listens(self, ask_all):
        async def work(model):
            events = []
            async with model.listen(
                resource_subscriptions=[MEMORIES, CONTEXT, "memtrace://agents"], resources_list_changed=True
            ) as changes:
                await model.call_tool("memtrace_remember", WRITE)
                await model.call_tool("memtrace_agent_register", {"name": "reviewer"})
                async for event in changes:
                    events.append(event)
                    if len(events) == 4:
                        break
            return events

        assert ask_all(work) == [
            bus.ResourceUpdated(MEMORIES),
            bus.ResourceUpdated(CONTEXT),
            bus.ResourcesListChanged(),
            bus.ResourceUpdated("memtrace://agents"),
        ]

    def test_it_is_offered(self, ask_all):
        async def work(model):
            return model.server_capabilities.resources

        offered = ask_all(work)
        assert (offered.subscribe, offered.list_changed) == (True, True)


@pytest.mark.filterwarnings("ignore:resources/:UserWarning")  # the newest era has listening instead
@pytest.mark.parametrize("era", ["legacy"], indirect=True)
class TestSubscribing:
    @pytest.mark.parametrize("tools", ["of one agent", "of all"])
    def test_a_write_is_told_to_who_subscribed_until_they_unsubscribe(self, request, era, tools):
        told = asyncio.Queue()

        async def handler(message):
            if isinstance(message, types.ResourceUpdatedNotification):
                await told.put(message.params.uri)

        async def work(model):
            await model.subscribe_resource(MEMORIES)
            await write(model, "first")
            first = await asyncio.wait_for(told.get(), PATIENCE)
            await model.unsubscribe_resource(MEMORIES)
            await write(model, "second")
            await model.list_tools()
            return first, told.qsize()

        async def write(model, content):
            if tools == "of all":
                await model.call_tool("memtrace_remember", {"agent_id": "a", "content": content})
            else:
                await model.call_tool("remember", {"content": content})

        if tools == "of all":
            result = request.getfixturevalue("ask_all")(work, handler=handler)
        else:
            result = request.getfixturevalue("ask_one")(work, handler=handler, agent_id="a")
        assert result == (MEMORIES, 0)

    def test_an_unknown_resource_cannot_be_subscribed_to(self, ask_one):
        async def work(model):
            with pytest.raises(mcp.MCPError, match="there is no resource"):
                await model.subscribe_resource("memtrace://agents/another/memories")

        ask_one(work)


class Session:
    def __init__(self, client):
        self.client_params = client
        self.told = []

    async def send_resource_updated(self, uri):
        self.told.append(uri)


class TestManySubscriptions:
    def test_the_oldest_goes_where_there_are_too_many(self, monkeypatch):
        monkeypatch.setattr("memtrace.integrations.mcp._subscriptions._MOST", 2)
        known = subscriptions.Subscriptions()
        sessions = [Session(object()) for _ in range(3)]
        for session in sessions:
            known.subscribe(session, MEMORIES)
        known.subscribe(sessions[2], MEMORIES)
        known.unsubscribe(sessions[2], CONTEXT)
        asyncio.run(known.registered(MEMORIES))
        assert [session.told for session in sessions] == [[], [MEMORIES], [MEMORIES]]
        known.unsubscribe(sessions[0], MEMORIES)  # which is not there any more

    def test_each_is_told_of_its_own_resources(self):
        known, session = subscriptions.Subscriptions(), Session(object())
        known.subscribe(session, MEMORIES)
        known.subscribe(session, CONTEXT)
        asyncio.run(known.registered(CONTEXT))
        assert session.told == [CONTEXT]

    def test_a_client_that_does_not_read_holds_nobody_up(self, monkeypatch):
        monkeypatch.setattr("memtrace.integrations.mcp._subscriptions._PATIENCE", 0.01)
        known = subscriptions.Subscriptions()
        stuck, reading = Session(object()), Session(object())
        stuck.send_resource_updated = lambda uri: asyncio.sleep(3600)
        for session in (stuck, reading):
            known.subscribe(session, MEMORIES)
        asyncio.run(known.registered(MEMORIES))
        assert reading.told == [MEMORIES]
