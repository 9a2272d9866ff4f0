"""Every transport over a network that is installed, in each of its forms, made as a client makes it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from memtrace.exceptions import TransportError
from memtrace.plugins import transports
from memtrace.transport import TransportOptions

NETWORK = [name for name in ("aiohttp", "httpx", "httpx2", "requests") if not transports.get(name).missing()]


class Kind:
    """One form of one transport; runs several requests one after the other, or a hundred at once."""

    def __init__(self, name, *, asynchronous):
        self.name = name
        self.asynchronous = asynchronous

    def __str__(self):
        return f"{self.name} {'async' if self.asynchronous else 'sync'}"

    def make(self, **options):
        spec = transports.get(self.name)
        create = spec.create_async if self.asynchronous else spec.create
        return create(TransportOptions(**options))

    def send(self, *requests, **options):
        """The answers, and a `TransportError` in the place of one that did not come."""
        return asyncio.run(self._awaited(requests, options)) if self.asynchronous else self._blocking(requests, options)

    def _blocking(self, requests, options):
        transport = self.make(**options)
        with contextlib.closing(transport):
            return [self._outcome(transport, request) for request in requests]

    @staticmethod
    def _outcome(transport, request):
        try:
            return transport.send(request)
        except TransportError as error:
            return error

    async def _awaited(self, requests, options):
        transport, outcomes = self.make(**options), []
        for request in requests:
            try:
                outcomes.append(await transport.send(request))
            except TransportError as error:
                outcomes.append(error)
        await transport.close()
        return outcomes


KINDS = [
    Kind(name, asynchronous=form)
    for name in NETWORK
    for form in (False, True)
    if transports.get(name).serves(asynchronous=form)
]

on_every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
on_every_blocking_kind = pytest.mark.parametrize("kind", [each for each in KINDS if not each.asynchronous], ids=str)
on_every_awaiting_kind = pytest.mark.parametrize("kind", [each for each in KINDS if each.asynchronous], ids=str)
