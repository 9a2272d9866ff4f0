"""Notifications of changed resources, for clients of both eras of the protocol, about writes through this server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)

from memtrace.exceptions import MemtraceError

if TYPE_CHECKING:
    from mcp.server.session import ServerSession

    from memtrace.async_client import AsyncMemtrace
    from memtrace.models import Memory

_MOST: Final = 1024
_PATIENCE: Final = 1.0  # seconds: one client that does not read must not hold up another one's call
_VISIBLE: Final = 2.0


class Subscriptions:
    """Notifies subscribers of changed resources. The oldest subscription goes where there are too many."""

    def __init__(self) -> None:
        self._bus = _CountingBus()
        #: Serves ``subscriptions/listen``.
        self.listen: ListenHandler = ListenHandler(self._bus, max_subscriptions=_MOST)
        #: Those of ``resources/subscribe``, by client and URI. A session keeps its client's parameters alive.
        self._sessions: dict[tuple[int, str], ServerSession] = {}

    def subscribe(self, session: ServerSession, uri: str) -> None:
        """Add a subscription of an earlier era."""
        self._sessions[_client_of(session), uri] = session
        while len(self._sessions) > _MOST:
            del self._sessions[next(iter(self._sessions))]

    def unsubscribe(self, session: ServerSession, uri: str) -> None:
        """Remove one."""
        self._sessions.pop((_client_of(session), uri), None)

    async def stored(self, client: AsyncMemtrace, memory: Memory, uris: Iterable[str]) -> None:
        """Tell of the resources that a memory changed, once a read shows it."""
        wanted = {uri for _, uri in self._sessions}
        changed = [uri for uri in uris if self._bus.listeners or uri in wanted]
        if not changed:
            return
        with suppress(MemtraceError):  # they read it later
            await client.memories.wait_until_visible(memory, timeout=_VISIBLE)
        for uri in changed:
            await self._updated(uri)

    async def registered(self, uri: str) -> None:
        """Tell of a list that changed."""
        await self._bus.publish(ResourcesListChanged())
        await self._updated(uri)

    async def _updated(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri))
        for (_, subscribed), session in list(self._sessions.items()):
            if subscribed == uri:
                with anyio.move_on_after(_PATIENCE):
                    await session.send_resource_updated(uri)


class _CountingBus(InMemorySubscriptionBus):
    """The package's bus, which knows whether anybody listens."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners = 0

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        self.listeners += 1
        unsubscribe = super().subscribe(listener)

        def leave() -> None:
            self.listeners -= 1
            unsubscribe()

        return leave


def _client_of(session: ServerSession) -> int:
    """The number of a session's client: each request has its own session, and all of a client have its parameters."""
    return id(session.client_params)
