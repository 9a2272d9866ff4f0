"""How a transport is made and closed."""

from __future__ import annotations

import time

import pytest

from memtrace.exceptions import ClientClosedError
from memtrace.plugins import API_VERSION, TransportSpec
from memtrace.testing._rules.fixtures import Fixtures, Make
from memtrace.testing._rules.requests_under_test import get
from memtrace.testing._scripted_server import ScriptedServer
from memtrace.testing._transport_under_test import TransportUnderTest
from memtrace.transport import TransportOptions


class Making(Fixtures):
    """Making sends nothing; closing is for good."""

    def test_its_spec_fits_this_sdk(self, spec: TransportSpec) -> None:
        """The spec was made for this plugin interface, and its capabilities are options that exist."""
        assert spec.api == API_VERSION
        unknown = sorted(spec.capabilities - set(TransportOptions.__dataclass_fields__))
        assert unknown == [], "capabilities are names of TransportOptions' fields"

    def test_nothing_is_sent_by_making_one(self, server: ScriptedServer, make: Make) -> None:
        """A constructor does no network I/O, for a client is made long before it is used."""
        make(url=server.url)
        time.sleep(0.05)
        assert server.connections == 0, "a connection was made before the first request"

    def test_a_second_close_does_nothing(self, make: Make) -> None:
        """A second close does nothing on a transport that was never used."""
        subject = make()
        subject.close()
        subject.close()

    def test_a_used_one_closes_twice(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """A second close does nothing after a request."""
        subject.send(get(server.url))
        subject.close()
        subject.close()

    def test_a_closed_one_sends_nothing(self, make: Make) -> None:
        """It raises `ClientClosedError`, wherever the request would go."""
        subject = make()
        subject.close()
        with pytest.raises(ClientClosedError):
            subject.send(get("http://127.0.0.1:9"))

    def test_one_that_is_closed_after_use_sends_nothing(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """It raises `ClientClosedError` after a request too, and the server receives nothing more."""
        subject.send(get(server.url))
        subject.close()
        with pytest.raises(ClientClosedError):
            subject.send(get(server.url))
        assert len(server.received) == 1
