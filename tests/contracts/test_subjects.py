"""What a transport gives is looked at before it is believed."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from memtrace.testing._rules import requests_under_test
from memtrace.testing._transport_under_test import checked
from memtrace.transport import Headers, Request, Response


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (None, "send returned NoneType: it must return a memtrace.transport.Response"),
        (Response(200, {"a": "b"}), "needs memtrace.transport.Headers"),
        (Response(200, Headers(), "text"), "its body as bytes"),
    ],
)
def test_what_is_no_response_is_told(returned, text):
    with pytest.raises(pytest.fail.Exception, match=text):
        checked(returned)


def test_a_send_that_never_ends_fails_its_test(monkeypatch):
    class Never:
        def start(self, request):
            return Future()

    monkeypatch.setattr(requests_under_test, "PATIENCE", 0.01)
    monkeypatch.setattr(requests_under_test, "_SLACK", 0.01)
    with pytest.raises(pytest.fail.Exception, match="send did not end within 0.03 seconds"):
        requests_under_test.failure(Never(), Request("GET", "http://server", "/"))
