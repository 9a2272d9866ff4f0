"""The doctor against a real loopback server, and its wrong configurations."""

from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from memtrace import plugins
from memtrace._cli import diagnosis as checks
from memtrace._cli.connection import Choice
from memtrace.plugins import TransportSpec
from tests.loopback import LoopbackServer

pytestmark = pytest.mark.network


@pytest.fixture
def server(environment):
    with LoopbackServer() as server:
        environment.setenv("MEMTRACE_BASE_URL", server.url)
        environment.setenv("MEMTRACE_API_KEY", server.fake.organisation("acme").api_key)
        environment.setenv("NO_PROXY", "127.0.0.1")
        yield server


def examine(url, transport, profile=None):
    return checks.diagnose(Choice(base_url=url, transport=transport, profile=profile))


def statuses(diagnosis):
    return [check.status for check in diagnosis.checks]


def check(diagnosis, name):
    return next(check for check in diagnosis.checks if check.name == name)


class TestAgainstAServer:
    def test_all_is_well(self, server):
        diagnosis = examine(None, None)
        assert statuses(diagnosis) == ["ok"] * 5
        assert diagnosis.exit_status == 0
        found = check(diagnosis, "configuration").found
        assert found == f"{server.url} from MEMTRACE_BASE_URL, key from MEMTRACE_API_KEY, 30 s an attempt"
        assert check(diagnosis, "transport").found == "httpx, because it is the first default that is installed"
        assert check(diagnosis, "reachable").found.startswith("memtrace answers, status ok, up ")

    def test_the_options_win_over_the_environment(self, server, environment):
        environment.setenv("MEMTRACE_BASE_URL", "nonsense")
        environment.setenv("MEMTRACE_TRANSPORT", "nonsense")
        diagnosis = examine(server.url, "httpx")
        assert diagnosis.exit_status == 0
        assert check(diagnosis, "configuration").found.startswith(f"{server.url} from --base-url")
        assert "transport='httpx'" in check(diagnosis, "transport").found

    def test_an_unknown_key_fails_and_is_not_shown(self, server, environment):
        environment.setenv("MEMTRACE_API_KEY", "mtk_wrong")
        diagnosis = examine(None, None)
        assert statuses(diagnosis) == ["ok", "ok", "ok", "failed", "skipped"]
        assert diagnosis.exit_status == 1
        assert "ask an admin" in check(diagnosis, "key").advice
        assert "mtk_wrong" not in repr(diagnosis)

    def test_an_organisation_without_storage_is_told_what_its_admin_runs(self, server):
        server.fake.set_storage("acme", "none")
        diagnosis = examine(None, None)
        assert statuses(diagnosis) == ["ok", "ok", "ok", "ok", "failed"]
        assert diagnosis.exit_status == 1
        assert "memtrace org add-arc <org_id>" in check(diagnosis, "storage").advice

    def test_storage_that_does_not_answer_is_not_the_keys_fault(self, server, at_once):
        server.fake.set_storage("acme", "down")
        diagnosis = examine(None, None)
        assert statuses(diagnosis) == ["ok", "ok", "ok", "ok", "failed"]
        assert "Arc instance is running" in check(diagnosis, "storage").advice

    @pytest.mark.slow
    def test_nothing_listening_is_a_failed_check(self, environment):
        environment.setenv("MEMTRACE_API_KEY", "mtk_x")
        environment.setenv("NO_PROXY", "127.0.0.1")
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
            diagnosis = examine(f"http://127.0.0.1:{reserved.getsockname()[1]}", None)
        assert statuses(diagnosis) == ["ok", "ok", "failed", "skipped", "skipped"]
        assert diagnosis.exit_status == 1
        assert "is the server running" in check(diagnosis, "reachable").advice
        assert check(diagnosis, "storage").found == "not tried, because reachable failed"

    @pytest.mark.slow
    @pytest.mark.parametrize("transport", ["httpx", "requests"])
    def test_a_dead_proxy_is_named_with_its_variable_and_without_its_password(self, server, environment, transport):
        environment.delenv("NO_PROXY")
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{reserved.getsockname()[1]}"
            environment.setenv("HTTP_PROXY", f"http://me:PASSWORD@{place}")
            diagnosis = examine(None, transport)
        assert statuses(diagnosis) == ["ok", "ok", "failed", "skipped", "skipped"]
        failed = check(diagnosis, "reachable")
        assert failed.found.startswith(
            f"no connection to {server.url} through the proxy http://{place} of HTTP_PROXY: "
        )
        assert "is the proxy running" in failed.advice
        assert "Correct HTTP_PROXY, or list the server's host in NO_PROXY" in failed.advice
        assert "PASSWORD" not in repr(diagnosis)

    def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(self, server, environment):
        environment.delenv("NO_PROXY")
        environment.setenv("ALL_PROXY", "socks://me:PASSWORD@127.0.0.1:1/")
        diagnosis = examine(None, "httpx")
        assert check(diagnosis, "reachable").found.startswith("the proxy in ALL_PROXY cannot be used: ")
        assert "PASSWORD" not in repr(diagnosis)


class _Strange(BaseHTTPRequestHandler):
    """Something else than a Memtrace server, or something in front of one; it repeats the key that it got."""

    health: bytes

    def do_GET(self):
        healthy = self.path == "/health"
        body = self.health if healthy else b"Too many requests of " + self.headers.get("x-api-key", "").encode()
        self.send_response(200 if healthy else 429)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def strange(environment, at_once):
    servers = []

    def serve(health):
        server = HTTPServer(("127.0.0.1", 0), type("Handler", (_Strange,), {"health": health}))
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        servers.append((server, thread))
        environment.setenv("NO_PROXY", "127.0.0.1")
        environment.setenv("MEMTRACE_API_KEY", "mtk_secret")
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_another_kind_of_server_is_not_taken_for_memtrace(strange):
    diagnosis = examine(strange(b'{"hello": "world"}'), None)
    assert statuses(diagnosis)[2:] == ["failed", "skipped", "skipped"]
    assert "address of a Memtrace server" in check(diagnosis, "reachable").advice


def test_a_refusal_that_says_nothing_of_the_key_is_told_as_such_and_a_repeated_key_is_not_shown(strange):
    diagnosis = examine(strange(b'{"status": "ok", "service": "memtrace", "uptime": "1s"}'), None)
    assert statuses(diagnosis)[2:] == ["ok", "failed", "skipped"]
    assert check(diagnosis, "key").found == "could not be tried: Too many requests of ***"


class TestConfiguration:
    def test_all_that_is_missing_is_told_at_once(self, invoke):
        result = invoke("doctor")
        assert result.exit_code == 2
        lines = result.output.splitlines()
        assert lines[0].split() == ["✗", "configuration", "no", "address;", "no", "key"]
        assert "MEMTRACE_BASE_URL" in result.output
        assert "MEMTRACE_API_KEY" in result.output
        assert [line.split()[0] for line in lines[-4:]] == ["-"] * 4

    def test_an_address_without_a_key_is_a_configuration_that_is_missing(self):
        diagnosis = examine("http://localhost:9100", None)
        assert (diagnosis.exit_status, check(diagnosis, "configuration").found) == (2, "no key")

    @pytest.mark.parametrize(
        ("url", "key", "told"),
        [
            ("localhost:9100", "mtk_secret", "the base URL is not a valid address"),
            ("pigeon://me:mtk_secret@coop", "mtk_secret", "it holds credentials"),
            ("memory://", "mtk_secret\n", "the API key cannot be sent: it holds a line break"),
        ],
    )
    def test_a_wrong_value_is_told_with_its_source_and_without_the_key(self, environment, url, key, told):
        environment.setenv("MEMTRACE_API_KEY", key)
        diagnosis = examine(url, None)
        assert diagnosis.exit_status == 2
        assert told in check(diagnosis, "configuration").found
        source = "MEMTRACE_API_KEY" if url == "memory://" else "--base-url"
        assert check(diagnosis, "configuration").advice.endswith(f"(from {source})")
        assert "mtk_secret" not in repr(diagnosis)

    def test_a_wrong_timeout_is_told(self, environment):
        environment.setenv("MEMTRACE_API_KEY", "mtk_x")
        environment.setenv("MEMTRACE_TIMEOUT", "soon")
        diagnosis = examine("memory://", None)
        assert diagnosis.exit_status == 2
        assert "MEMTRACE_TIMEOUT is not a number" in check(diagnosis, "configuration").found

    def test_an_unknown_transport_names_the_near_one(self, environment):
        environment.setenv("MEMTRACE_API_KEY", "mtk_x")
        diagnosis = examine("http://127.0.0.1", "htpx")
        assert (diagnosis.exit_status, statuses(diagnosis)[:2]) == (2, ["ok", "failed"])
        assert "Did you mean 'httpx'?" in check(diagnosis, "transport").found
        assert "memtrace-sdk transports" in check(diagnosis, "transport").advice

    def test_the_memory_transport_is_told_to_be_no_server(self, environment):
        environment.setenv("MEMTRACE_API_KEY", "any key")
        diagnosis = examine("memory://", None)
        assert diagnosis.exit_status == 0
        assert "not a server" in check(diagnosis, "transport").found

    def test_a_secret_in_the_address_of_another_transport_is_not_shown(self, environment):
        environment.setenv("MEMTRACE_API_KEY", "mtk_x")
        found = check(examine("pigeon://coop/?token=secret", None), "configuration").found
        assert found.startswith("pigeon://coop/ from --base-url")

    def test_a_transport_of_others_that_breaks_is_a_failed_check(self, environment):
        def create(options):
            raise LookupError("no pigeon at home for mtk_secret")

        environment.setattr(plugins.transport_registry, "_specs", {"httpx": TransportSpec(create=create)})
        environment.setenv("MEMTRACE_API_KEY", "mtk_secret")
        diagnosis = examine("http://127.0.0.1", None)
        assert diagnosis.exit_status == 1
        assert check(diagnosis, "reachable").found == "the transport raised LookupError: no pigeon at home for ***"


def test_the_json_form_holds_every_check_and_the_same_exit_status(invoke, server):
    server.fake.set_storage("acme", "none")
    result = invoke("doctor", "--json")
    answer = json.loads(result.output)
    assert (result.exit_code, answer["ok"]) == (1, False)
    assert [one["name"] for one in answer["checks"]] == ["configuration", "transport", "reachable", "key", "storage"]
    assert answer["checks"][-1]["status"] == "failed"
    assert server.fake.organisation("acme").api_key not in result.output


@pytest.mark.slow
def test_a_process_without_failures_exits_0_and_keeps_the_key(execute, server):
    result = execute("doctor")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.stdout.splitlines() if not line.startswith(" ")] == ["✓"] * 5
    assert server.fake.organisation("acme").api_key not in result.stdout


@pytest.mark.slow
def test_an_output_that_has_no_ticks_gets_words(execute, server, environment):
    environment.setenv("PYTHONIOENCODING", "ascii")
    assert [line.split()[0] for line in execute("doctor").stdout.splitlines()] == ["ok"] * 5


def test_the_key_cannot_be_given_on_the_command_line(invoke):
    result = invoke("doctor", "--api-key=mtk_secret")
    assert result.exit_code == 2
    assert "mtk_secret" not in result.output
