"""What a web page of another origin gets: all of the server's routes, and none of the control routes."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from memtrace_transports.memory import FakeMemtrace, Fault
from memtrace_transports.memory._control_routes import PREFIX
from memtrace_transports.memory.asgi import FakeApp
from memtrace_transports.memory.server import LiveServer
from tests.fake.caller import API
from tests.fake.test_asgi import body_of, call, headers_of

EVIL = "http://evil.example"
ALLOWED = "access-control-allow-origin"


class TestTheServersRoutes:
    def test_a_preflight_is_answered_204_without_a_key_on_any_path(self, api):
        for path in (f"{API}/memories", "/health", "/nope"):
            asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
            answer = api.send("OPTIONS", path, headers=asked)
            assert (answer.status, answer.text) == (204, "")
            assert {name.lower(): value for name, value in answer.headers.multi_items if name != "Date"} == {
                "vary": "Access-Control-Request-Method, Access-Control-Request-Headers, Origin",
                ALLOWED: "*",
                "access-control-allow-methods": "GET,POST,HEAD,PUT,DELETE,PATCH",
            }

    def test_a_preflight_is_allowed_the_fields_it_names(self, api):
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-api-key"}
        answer = api.send("OPTIONS", f"{API}/memories", headers={"Origin": EVIL, **asked})
        assert answer.headers["access-control-allow-headers"] == "content-type,x-api-key"

    def test_a_preflight_is_no_call_and_uses_up_no_fault(self, api, fake):
        fake.faults.add(Fault("reset"))
        asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
        assert api.send("OPTIONS", f"{API}/memories", headers=asked).status == 204
        assert (len(fake.calls), len(fake.faults.unused())) == (0, 1)

    @pytest.mark.parametrize(
        ("path", "keyed", "status"), [("/agents", True, 200), ("/agents", False, 401), ("/nope", True, 404)]
    )
    def test_every_answer_to_a_page_can_be_read_by_it(self, api, path, keyed, status):
        key = {"x-api-key": api.org.api_key} if keyed else {}
        for origin in (EVIL, "null"):
            answer = api.send("GET", API + path, headers={"Origin": origin, **key})
            assert (answer.status, answer.headers[ALLOWED], answer.headers.get("vary")) == (status, "*", None)

    def test_so_can_the_answer_of_a_fault(self, api, fake):
        fake.faults.add(Fault("status", status=429))
        answer = api.send("GET", f"{API}/agents", headers={"Origin": EVIL})
        assert (answer.status, answer.headers[ALLOWED]) == (429, "*")

    @pytest.mark.parametrize("headers", [{}, {"Origin": ""}, {"Access-Control-Request-Method": "POST"}])
    def test_a_program_gets_none_of_these_headers(self, api, headers):
        for method, status in (("GET", 200), ("OPTIONS", 405)):
            answer = api.send(method, f"{API}/agents", headers={"x-api-key": api.org.api_key, **headers})
            assert answer.status == status
            assert ALLOWED not in answer.headers
            assert "vary" not in answer.headers

    def test_options_that_ask_for_no_method_are_no_preflight(self, api):
        answer = api.send("OPTIONS", f"{API}/agents", headers={"Origin": EVIL, "x-api-key": api.org.api_key})
        assert (answer.status, answer.headers["vary"], ALLOWED in answer.headers) == (405, "Origin", False)


REFUSED = [
    {"Host": "evil.example"},
    {"Host": "evil.example:9100"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "localhost.evil.example:9100"},
    {"Host": "127.0.0.1@evil.example"},
    {"Host": "[::2]"},
    {"Host": "10.0.0.1"},
    {"Host": ""},
    {"Host": "localhost:9100:9100"},
    {"Host": "localhost", "Origin": EVIL, "Content-Type": "text/plain"},
    {"Host": "localhost", "Origin": EVIL, "Content-Type": "application/json"},
    {"Host": "localhost", "Origin": "null"},
    {"Host": "localhost", "Origin": ""},
    {"Host": "localhost:9100", "Origin": "http://localhost:3000"},
    {"Host": "localhost:9100", "Origin": "http://localhost"},
    {"Origin": "http://localhost"},
    {"Host": "localhost", "Sec-Fetch-Site": "cross-site"},
    {"Host": "localhost", "Sec-Fetch-Site": "same-site"},
]
SERVED = [
    {},
    {"Host": "localhost"},
    {"Host": "LOCALHOST:9100"},
    {"Host": "127.0.0.1:9100"},
    {"Host": "[::1]:9100"},
    {"Host": "fake.test"},
    {"Host": "bound.test:80"},
    {"Host": "[fd00::1]"},
    {"Host": "localhost", "Sec-Fetch-Mode": "cors"},  # what fetch of Node sends
    {"Host": "localhost", "Sec-Fetch-Site": "none"},
    {"Host": "localhost:9100", "Origin": "http://localhost:9100", "Sec-Fetch-Site": "same-origin"},
]


def control(fake, headers, method="POST", path="reset", **scope):
    app = FakeApp(fake, hosts=["Fake.test", "[fd00::1]"])
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return call(app, method=method, path=PREFIX + path, headers=given, server=("Bound.test", 80), **scope)


class TestControlRoutes:
    @pytest.mark.parametrize("headers", REFUSED)
    def test_a_page_and_a_foreign_host_are_refused_and_nothing_is_done(self, fake, headers):
        fake.organisation("kept", api_key="mtk_kept")
        for method, path in (("POST", "reset"), ("GET", "calls"), ("DELETE", "faults"), ("OPTIONS", "reset")):
            sent = control(fake, headers, method, path)
            assert (sent[0]["status"], list(json.loads(body_of(sent)))) == (403, ["error"])
            assert ALLOWED.encode() not in headers_of(sent)
        assert fake.organisation("kept").api_key == "mtk_kept"

    @pytest.mark.parametrize("headers", SERVED)
    def test_programs_are_served_under_the_hosts_that_are_bound_or_listed(self, fake, headers):
        fake.organisation("gone", api_key="mtk_gone")
        assert control(fake, headers)[0]["status"] == 200
        assert fake.organisation("gone").api_key != "mtk_gone"

    def test_an_address_of_both_families_is_the_one_bound(self, fake):
        headers = [(b"host", b"192.0.2.7:9100")]
        sent = call(FakeApp(fake), path="/_fake/calls", headers=headers, server=("::ffff:192.0.2.7", 9100))
        assert sent[0]["status"] == 200

    @pytest.mark.parametrize("host", ["http://fake.test", "", "fake test", "*:80:90"])
    def test_what_is_no_host_cannot_be_listed(self, host):
        with pytest.raises(ValueError, match="a host is a name or an address"):
            FakeApp(FakeMemtrace(), hosts=[host])

    @pytest.mark.network
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_live_server_takes_its_own_address_and_what_is_listed(self, fake, host):
        with LiveServer(fake, host=host, hosts=["fake.test"]) as server:
            found = {}
            for name in ("localhost", "fake.test", "evil.example", urlsplit(server.url).netloc):
                with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as connection:
                    connection.request("GET", "/_fake/calls", headers={"Host": name})
                    found[name] = connection.getresponse().status
        assert sorted(found.values()) == [200, 200, 200, 403]
        assert found["evil.example"] == 403

    @pytest.mark.network
    @pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
    def test_a_live_server_on_ipv6_takes_its_own_address(self, fake):
        with (
            LiveServer(fake, host="::1") as server,
            closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as connection,
        ):
            connection.request("GET", "/_fake/calls")
            assert connection.getresponse().status == 200
