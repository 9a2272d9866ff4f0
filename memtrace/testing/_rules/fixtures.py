"""What every rule is given: the transport under test and a server, and what the transport is said not to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from typing import ClassVar

import pytest

from memtrace.plugins import TransportSpec
from memtrace.testing._create_fixture import check_is_fixture
from memtrace.testing._scripted_server import ScriptedServer
from memtrace.testing._transport_under_test import TransportUnderTest

Make = Callable[..., TransportUnderTest]
"""Makes a transport with these fields of `TransportOptions`; it is closed when the test ends."""


class Fixtures:
    """For both forms of a transport; how one is made and faced, each form's contract adds as `make` and `subject`."""

    network: ClassVar[bool] = True
    """False for a transport that answers by itself: what needs a server is left out."""
    keeps_alive: ClassVar[bool] = True
    """False for one that makes a connection for each request."""
    forks: ClassVar[bool] = True
    """False for one that cannot be used on both sides of a fork."""
    clocks_connecting: ClassVar[bool] = True
    """False for one that cannot tell a connection that does not come about in time from an answer that does not."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_is_fixture(cls, "spec")
        if not cls.network:
            for name in dir(cls):
                test = getattr(cls, name)
                if name.startswith("test_") and callable(test) and "server" in signature(test).parameters:
                    setattr(cls, name, None)  # pytest collects functions only

    @pytest.fixture
    def spec(self) -> TransportSpec:
        """The transport under test; each subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `spec` that returns your TransportSpec")

    @pytest.fixture
    def server(self) -> Iterator[ScriptedServer]:
        """A server on a loopback port that echoes, unless configured otherwise."""
        with ScriptedServer() as server:
            yield server
