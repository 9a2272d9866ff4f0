"""Who may use the pages, by the requests that browsers and other sites send."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from memtrace.integrations._viewer._access import LocalAccess

PORT = 8123
BASE = f"http://127.0.0.1:{PORT}"
TOKEN = "a-token-of-the-test"


async def page(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"the page"})


@pytest.fixture
def ask():
    """Send requests one after another, with the cookies of those before."""

    def run(*requests):
        async def main():
            transport = httpx.ASGITransport(LocalAccess(page, token=TOKEN, port=PORT))
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
                return [await http.request(**{"method": "GET", **request}) for request in requests]

        return asyncio.run(main())

    return run


ENTER = {"url": f"/timeline?agent=a&token={TOKEN}&tag=x&tag=y"}


def test_the_token_sets_a_cookie_and_leads_to_the_url_without_it(ask):
    entered, again = ask(ENTER, {"url": "/timeline"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/timeline?agent=a&tag=x&tag=y")
    cookie = entered.headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert (again.status_code, again.text) == (200, "the page")


@pytest.mark.parametrize(
    "url", ["/", "/timeline?token=", "/timeline?token=other", f"/?tokens={TOKEN}", f"/?agent=a%26token%3D{TOKEN}"]
)
def test_without_the_token_nothing_is_shown(ask, url):
    (response,) = ask({"url": url})
    assert response.status_code == 403
    assert "needs its token" in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("cookie", ["", "other", TOKEN, "é".encode().decode("latin-1")])
def test_another_cookie_is_none(ask, cookie):
    header = f"memtrace_view_{PORT}={cookie}".encode("latin-1")
    (response,) = ask({"url": "/timeline", "headers": [(b"cookie", header)]})
    assert response.status_code == 403


@pytest.mark.parametrize("host", [f"evil.example:{PORT}", "127.0.0.1", "localhost", f"127.0.0.1:{PORT + 1}", ""])
def test_a_name_that_leads_here_from_elsewhere_is_refused(ask, host):
    _, response = ask(ENTER, {"url": "/timeline", "headers": {"host": host}})
    assert response.status_code == 403
    assert "127.0.0.1 only" in response.text


def test_two_hosts_are_refused(ask):
    _, response = ask(ENTER, {"url": "/timeline", "headers": [("host", f"127.0.0.1:{PORT}"), ("host", "evil.example")]})
    assert response.status_code == 403


def test_localhost_is_this_machine_too(ask):
    entered, _ = ask({**ENTER, "headers": {"host": f"localhost:{PORT}"}}, ENTER)
    assert entered.status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_page_is_refused(ask, headers):
    _, response = ask(ENTER, {"url": "/timeline", "headers": headers})
    assert response.status_code == 403
    assert "Another site" in response.text


@pytest.mark.parametrize(
    "headers", [{"origin": BASE}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {}]
)
def test_the_own_pages_pass(ask, headers):
    _, response = ask(ENTER, {"url": "/timeline", "headers": headers})
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_only_reads_are_methods(ask, method):
    _, response = ask(ENTER, {"url": "/timeline", "method": method})
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_every_response_has_the_headers_of_a_strict_page(ask):
    for response in ask(ENTER, {"url": "/timeline"}, {"url": "/", "headers": {"host": "evil.example"}}):
        policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert (policy["script-src"], policy["style-src"]) == ("'self'", "'self'")
        assert policy["frame-ancestors"] == "'none'"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
def test_the_token_leads_to_no_other_host(path):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": f"token={TOKEN}".encode(),
        "headers": [(b"host", f"127.0.0.1:{PORT}".encode())],
    }
    asyncio.run(LocalAccess(page, token=TOKEN, port=PORT)(scope, None, send))
    location = dict(sent[0]["headers"])[b"location"].decode()
    assert location.startswith("/evil.example")


def test_a_websocket_is_closed():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(LocalAccess(page, token=TOKEN, port=PORT)({"type": "websocket", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
