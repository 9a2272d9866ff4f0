"""Every transport over a network that is installed, in each of its forms, made as a client makes it, or on a user's client."""

from __future__ import annotations

import asyncio
import contextlib
from importlib import import_module

import pytest

from memtrace.exceptions import TransportError
from memtrace.plugins import transport_registry
from memtrace.transport import TransportOptions
from memtrace_transports import AiohttpTransport, AsyncHttpxTransport, HttpxTransport, RequestsTransport
from tests.sampling import crossed

NETWORK = [name for name in ("aiohttp", "httpx", "httpx2", "requests") if not transport_registry.get(name).missing()]


class Kind:
    """One form of one transport; runs several requests one after the other, or a hundred at once."""

    def __init__(self, name, *, asynchronous):
        self.name = name
        self.asynchronous = asynchronous

    def __str__(self):
        return f"{self.name} {'async' if self.asynchronous else 'sync'}"

    def make(self, **options):
        """A transport of the SDK's own; in a running event loop where it is asynchronous."""
        spec = transport_registry.get(self.name)
        create = spec.create_async if self.asynchronous else spec.create
        return create(TransportOptions(**options))

    def send(self, *requests, between=None, **options):
        """The answers, and a `TransportError` in the place of one that did not come; `between` runs before each but the first."""
        requests = _spaced(requests, between)
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
        try:
            for request in requests:
                try:
                    outcomes.append(await transport.send(request))
                except TransportError as error:
                    outcomes.append(error)
        finally:
            await transport.close()
        return outcomes


class Yours(Kind):
    """One form of one transport, on a client of its user's that is made with `settings`."""

    def __init__(self, kind):
        super().__init__(kind.name, asynchronous=kind.asynchronous)

    def __str__(self):
        return f"{super().__str__()} yours"

    def make(self, **settings):
        if self.name == "requests":
            return RequestsTransport(_with(import_module("requests").Session(), settings))
        library = import_module(self.name)
        if self.name == "aiohttp":
            return AiohttpTransport(library.ClientSession(**settings))
        return (
            AsyncHttpxTransport(library.AsyncClient(**settings))
            if self.asynchronous
            else HttpxTransport(library.Client(**settings))
        )

    def _blocking(self, requests, options):
        transport = self.make(**options)
        client = transport._clients.get().acquire(None) if self.name != "requests" else transport._sessions.get()
        with contextlib.closing(client):
            return [self._outcome(transport, request) for request in requests]

    async def _awaited(self, requests, options):
        transport = self.make(**options)
        channel, outcomes = await transport._channels.get(), []
        try:
            for request in requests:
                try:
                    outcomes.append(await transport.send(request))
                except TransportError as error:
                    outcomes.append(error)
        finally:
            await channel.close()
        return outcomes


def _spaced(requests, between):
    for place, request in enumerate(requests):
        if place and between is not None:
            between()
        yield request


def _with(session, settings):
    for name, value in settings.items():
        setattr(session, name, value)
    return session


KINDS = [
    Kind(name, asynchronous=form)
    for name in NETWORK
    for form in (False, True)
    if transport_registry.get(name).serves(asynchronous=form)
]

FORMS = [*KINDS, *(Yours(kind) for kind in KINDS)]

on_every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
# each kind once, on a client of its own or on its user's; a whole run takes both
on_every_form = pytest.mark.parametrize(
    "form", [Yours(kind) if is_yours else kind for kind, is_yours in crossed(KINDS, [False, True])], ids=str
)
on_every_blocking_kind = pytest.mark.parametrize("kind", [each for each in KINDS if not each.asynchronous], ids=str)
on_every_awaiting_kind = pytest.mark.parametrize("kind", [each for each in KINDS if each.asynchronous], ids=str)
