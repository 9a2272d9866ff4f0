"""No secret is shown."""

from __future__ import annotations

import logging

import pytest

from memtrace.testing import _scripted_server as scripted
from memtrace.testing._canaries import CONTENT, is_shown, shown_in_error, shown_in_records
from memtrace.testing._rules.fixtures import Fixtures, Make
from memtrace.testing._rules.requests_under_test import BOUND, post
from memtrace.testing._transport_under_test import TransportUnderTest
from memtrace.transport import TransportError


class Secrets(Fixtures):
    """Neither the key nor what is stored."""

    def test_no_error_and_no_log_shows_a_key_or_a_content(
        self,
        server: scripted.ScriptedServer,
        make: Make,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Neither of the transport nor of its library, at DEBUG, nor what they print, for failures of every kind."""
        steps = [
            scripted.Answer(200, CONTENT.encode()),
            scripted.ResetAfterReading(),
            scripted.Stall(),
            scripted.Stall(f"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{CONTENT}".encode()),
            scripted.Truncate(),
            scripted.Garbage(),
        ]
        server.do(*steps)
        subject = make()
        with caplog.at_level(logging.DEBUG), scripted.refusing_address() as refusing:
            shown = [
                place
                for url in [server.url] * len(steps) + [refusing]
                for place in _places_of_secrets(subject, url)
            ]  # fmt: skip
        assert shown == [], "errors that show a planted key or content"
        assert shown_in_records(caplog.records) == [], "log records that show a planted key or content"
        assert not is_shown("".join(capfd.readouterr())), "a planted key or content was printed"


def _places_of_secrets(subject: TransportUnderTest, url: str) -> list[str]:
    try:
        subject.send(post(url, timeout=BOUND))
    except TransportError as error:
        return shown_in_error(error)
    return []
