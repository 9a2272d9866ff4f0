"""The clients of an integration that frameworks call both ways: blocking and awaiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from memtrace._support.error_text import type_name
from memtrace._support.threads import is_refused_thread
from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.exceptions import ConfigurationError, no_thread

if TYPE_CHECKING:
    from memtrace._runtime.dispatch import AsyncDispatcher, Dispatcher
    from memtrace._runtime.dispatch._request_cycle import AnyDispatcher
    from memtrace._runtime.workflows.steps import Workflow

T = TypeVar("T")


def dispatcher(client: object, owner: str) -> Dispatcher:
    """What runs workflows for a blocking client. Raises `ConfigurationError` for anything else."""
    if not isinstance(client, Memtrace):
        raise ConfigurationError(f"{owner} accepts a Memtrace as client; {type_name(client)} was given")
    return client._dispatcher  # noqa: SLF001  # of this package; users have no need of it


def async_dispatcher(client: object, owner: str) -> AsyncDispatcher:
    """What runs workflows for an async client. Raises `ConfigurationError` for anything else."""
    if not isinstance(client, AsyncMemtrace):
        raise ConfigurationError(f"{owner} accepts an AsyncMemtrace as its async client; {type_name(client)} was given")
    return client._dispatcher  # noqa: SLF001  # as above


class DualClient:
    """Runs workflows on a blocking client, on an async one, or on either. `owner` is whom errors name.

    Awaiting without an async client uses the blocking one in a thread. Raises `ConfigurationError` when there is no client.
    """

    def __init__(self, client: Memtrace | None, async_client: AsyncMemtrace | None, owner: str) -> None:
        if client is None and async_client is None:
            raise ConfigurationError(f"{owner} needs a client: client=Memtrace(...), async_client=AsyncMemtrace(...)")
        self._blocking = None if client is None else dispatcher(client, owner)
        self._awaiting = None if async_client is None else async_dispatcher(async_client, owner)
        self._owner = owner

    def run(self, make: Callable[[AnyDispatcher[Any]], Workflow[T]]) -> T:
        """Run the workflow that `make` gives for the client's dispatcher.

        Raises `ConfigurationError` without a blocking client.
        """
        if self._blocking is None:
            raise ConfigurationError(
                f"this {self._owner} has no blocking client: give it client=Memtrace(...), or await its async methods"
            )
        return self._blocking.run(make(self._blocking))

    async def _run_in_thread(self, make: Callable[[AnyDispatcher[Any]], Workflow[T]]) -> T:
        begun: list[bool] = []

        def run() -> T:
            begun.append(True)
            return self.run(make)

        try:
            return await asyncio.to_thread(run)
        except RuntimeError as error:
            if begun or not is_refused_thread(error):
                raise
            raise no_thread("nothing was sent") from error

    async def run_async(self, make: Callable[[AnyDispatcher[Any]], Workflow[T]]) -> T:
        """As `run`, awaiting."""
        if self._awaiting is None:
            return await self._run_in_thread(make)
        return await self._awaiting.run(make(self._awaiting))
