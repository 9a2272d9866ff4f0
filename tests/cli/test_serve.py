"""serve-fake: what it prints, how it ends, and that clients of any language get the fake's answers."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from memtrace import (
    APIConnectionError,
    AuthenticationError,
    Memtrace,
    MemtraceError,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    ServerError,
)
from memtrace._cli import serve
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from tests.cli.conftest import SHARED
from tests.fake.replay import load, over_socket, replay
from tests.sampling import sample

pytestmark = pytest.mark.network
HERE = Path(__file__).parent
NODE = shutil.which("node")
WIRE = SHARED / "wire"
PATIENCE = 60


@pytest.fixture
def start(tmp_path):
    """Start ``memtrace-sdk serve-fake --json`` as a process; gives it and what it printed first."""
    yield from starting(tmp_path)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """What one that several tests use printed first; its clock stands still."""
    for start in starting(tmp_path_factory.mktemp("started")):
        yield start("--clock", "manual")[1]


@pytest.fixture(scope="module")
def started_on_a_file(tmp_path_factory):
    """As `started`, with everything in a file."""
    for start in starting(tmp_path_factory.mktemp("started_on_a_file")):
        yield start("--clock", "manual", "--store", "sqlite:///vectors.db")[1]


def starting(folder):
    running = []

    def run(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-X", "dev", "-m", "memtrace", "serve-fake", "--json", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process, json.loads(process.stdout.readline() or process.stderr.read())

    yield run
    for process in running:
        process.kill()
        process.communicate()


def end(process, number):
    """Exit status and everything else that was printed."""
    process.send_signal(number)
    return process.wait(PATIENCE), *process.communicate()


def opened(url):
    return closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE))


class TestAsAProcess:
    def test_json_is_one_line_that_a_client_can_use(self, started):
        assert started.keys() == {"url", "api_key", "org_id"}
        assert urlsplit(started["url"]).hostname == "127.0.0.1"
        with Memtrace(started["url"], started["api_key"]) as client:
            assert client.remember("bot", "likes tea").org_id == started["org_id"]

    @pytest.mark.slow
    @pytest.mark.parametrize("number", sample([signal.SIGINT, signal.SIGTERM], 1))
    def test_a_signal_ends_it_with_0_whatever_is_open_and_under_way(self, start, number):
        process, told = start()
        with opened(told["url"]) as kept, opened(told["url"]) as waiting:
            fault = {"kind": "delay", "on": "ready", "seconds": 3600}
            kept.request("POST", "/_fake/faults", json.dumps({"faults": [fault]}))
            kept.getresponse().read()
            waiting.request("GET", "/ready")
            calls = []
            while not calls:
                kept.request("GET", "/_fake/calls")
                calls = json.loads(kept.getresponse().read())["calls"]
            assert end(process, number) == (0, "", "")
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                waiting.getresponse()

    @pytest.mark.slow
    def test_a_signal_at_once_ends_it_as_well(self, start):
        process, _ = start()
        assert end(process, signal.SIGTERM) == (0, "", "")

    @pytest.mark.slow
    @pytest.mark.parametrize("server", ["started", "started_on_a_file"])
    def test_the_recorded_vectors_come_out_equal(self, request, server):
        url = request.getfixturevalue(server)["url"]
        with opened(url) as console:
            remote = _Remote(console)
            send = over_socket(url)
            scenarios = sample(load(HERE.parent / "fake" / "vectors"), 10)
            found = [found for scenario in scenarios for found in replay(scenario, remote, remote, send) if found]
        assert found == []

    @pytest.mark.slow
    @pytest.mark.parametrize("server", ["started", "started_on_a_file"])
    @pytest.mark.skipif(not WIRE.exists(), reason="../shared/wire is not there")
    def test_the_projects_independent_replay_finds_no_difference(self, request, server, tmp_path):
        scenarios = sample(load(WIRE / "vectors"), 10)
        (tmp_path / "vectors.json").write_text(json.dumps(scenarios), encoding="utf-8")
        command = [
            sys.executable,
            str(WIRE / "replay.py"),
            request.getfixturevalue(server)["url"],
            str(tmp_path / "vectors.json"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        equal, _, total = done.stdout.split(" vectors equal")[0].rpartition("\n")[2].partition(" of ")
        assert (done.returncode, equal) == (0, total), done.stdout + done.stderr


class _Remote:
    """What `replay` asks of a fake and its clock, by the control routes of a server elsewhere."""

    def __init__(self, console):
        self.console = console

    def post(self, path, body):
        self.console.request("POST", f"/_fake/{path}", json.dumps(body))
        answer = self.console.getresponse()
        value = json.loads(answer.read())
        assert answer.status == 200, value
        return value

    def organisation(self, name, *, storage, visibility):
        made = self.post("orgs", {"arc": storage, "visibility": visibility})
        return _Organisation(made["org_id"], made["api_key"])

    def seed(self, organisation, rows):
        self.post(f"orgs/{organisation.org_id}/seed", {"memories": rows})

    def flush(self):
        self.post("settle", {})

    def advance(self, seconds):
        self.post("clock/advance", {"seconds": seconds})


class _Organisation:
    def __init__(self, org_id, api_key):
        self.org_id, self.api_key = org_id, api_key


class TestOtherLanguages:
    @pytest.mark.slow
    @pytest.mark.skipif(NODE is None, reason="node is not installed")
    def test_node_gets_the_same_answers_as_the_python_client(self, start):
        process, told = start("--clock", "manual")
        command = [NODE, str(HERE / "walk_through.mjs"), told["url"], told["api_key"]]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        assert [status for _, _, status, _ in answers] == [
            *[201] * 4, *[200] * 5, 404, 429, "cut", 200
        ]  # fmt: skip
        assert _without_durations(answers) == _without_durations(_by_python())
        assert end(process, signal.SIGINT) == (0, "", "")


def _by_python():
    """What the Python client gets for the same requests, from a fake in the same state."""
    answers = []

    def note(request, call_next):
        try:
            response = yield from call_next(request)
        except MemtraceError:
            answers.append([request.method, request.target, "cut", None])
            raise
        body = json.loads(response.body) if response.body else None
        answers.append([request.method, request.target, response.status, body])
        return response

    clock = ManualClock()
    fake = FakeMemtrace(clock=clock)
    client = fake.client(attempt_middleware=[note], dedup="server").with_options(retry=RetryPolicy(max_attempts=1))
    agent = client.agents.register(name="assistant")
    session = client.sessions.create(agent_id=agent.id)
    for content in ("User prefers dark mode", "User likes té 🫖"):
        client.memories.add(agent_id=agent.id, session_id=session.id, content=content, tags=["ui"])
    client.sessions.context(session.id, since="24h")
    client.memories.filter(content_contains="dark")
    clock.advance(60)
    client.memories.list(agent_id=agent.id, order="asc")
    client.sessions.close(session.id)
    client.agents.stats(agent.id)
    with pytest.raises(NotFoundError):
        client.agents.get("nobody")
    fake.faults.add(Fault("status", status=429), Fault("reset", on="agents.list", applied=True))
    with pytest.raises(RateLimitError):
        client.sessions.list()
    with pytest.raises(APIConnectionError):
        client.agents.list()
    client.agents.list()
    return answers


def _without_durations(answers):
    for _, _, _, body in answers:
        if isinstance(body, dict):
            body.pop("query_time_ms", None)
    return answers


@pytest.fixture
def serve_once(invoke, environment):
    """Run the command in this process, and end it by a signal as soon as it answers; `during` is called before that."""

    begin = serve.LiveServer.start

    def run(*arguments, during=lambda url: None, number=signal.SIGTERM):
        def start_and_end(server):
            begin(server)
            during(server.url)
            signal.raise_signal(number)

        environment.setattr(serve.LiveServer, "start", start_and_end)
        before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        result = invoke("serve-fake", *arguments)
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
        return result

    return run


def test_the_text_form_says_where_with_which_key_and_how_to_stop(serve_once):
    result = serve_once("--org", "acme=mtk_of_acme", "--org", "globex=mtk_of_globex")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("A fake Memtrace server is listening at http://127.0.0.1:")
    url = lines[0].rpartition(" ")[2]
    assert lines[1:] == [
        f"MEMTRACE_BASE_URL={url}",
        "MEMTRACE_API_KEY=mtk_of_acme",
        "Another key, of globex: mtk_of_globex",
        "Stop it with Ctrl-C.",
    ]


def test_the_json_form_tells_of_several_organisations(serve_once):
    told = json.loads(serve_once("--json", "--org", "acme=mtk_of_acme", "--org", "globex").output)
    assert [org["name"] for org in told["orgs"]] == ["acme", "globex"]
    assert told["api_key"] == told["orgs"][0]["api_key"] == "mtk_of_acme"
    assert told["orgs"][1]["api_key"].startswith("mtk_")


def test_its_port_can_be_chosen_and_both_signals_end_it(serve_once):
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # it keeps others off the port, and not the server
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        for number in (signal.SIGINT, signal.SIGTERM):
            result = serve_once("--json", "--port", str(port), number=number)
            assert (result.exit_code, json.loads(result.output)["url"]) == (0, f"http://127.0.0.1:{port}")


def test_a_clock_that_nobody_could_move_is_refused(invoke):
    result = invoke("serve-fake", "--no-control", "--clock", "manual")
    assert result.exit_code == 2
    assert "/_fake/clock/advance moves it, which --no-control leaves out" in result.stderr


def get(url, path, key=""):
    with opened(url) as connection:
        connection.request("GET", path, headers={"x-api-key": key})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_without_control_there_are_no_control_routes(serve_once):
    found = []
    serve_once("--no-control", during=lambda url: found.append(get(url, "/_fake/calls")))
    assert found == [(404, b"Cannot GET /_fake/calls")]


def test_the_servers_settings_are_those_that_are_given(serve_once):
    def during(url):
        with Memtrace(url, "mtk_x") as client:
            for _ in range(2):
                client.remember("bot", "tea")
            counts.append(client.agents.stats("bot").memory_count)

    counts = []
    given = ("--dedup-enabled", "false", "--dedup-window-hours", "1", "--write-batch-size", "5")
    serve_once(*given, "--write-flush-interval-ms", "500", "--org", "acme=mtk_x", during=during)
    assert counts == [2]


def test_a_setting_of_the_server_out_of_bounds_is_refused(invoke):
    done = invoke("serve-fake", "--write-batch-size", "0")
    assert (done.exit_code, "write_batch_size must be a whole number from 1 to 10000" in done.stderr) == (2, True)


def test_control_routes_answer_under_the_hosts_that_are_listed_and_no_other(serve_once):
    found = []

    def during(url):
        for host in ("memtrace-fake:9100", "other"):
            with opened(url) as connection:
                connection.request("POST", "/_fake/settle", headers={"Host": host})
                found.append(connection.getresponse().status)

    serve_once("--allow-host", "memtrace-fake", during=during)
    assert found == [200, 403]


def test_what_is_no_host_cannot_be_listed(invoke):
    result = invoke("serve-fake", "--allow-host", "http://memtrace-fake")
    assert (result.exit_code, "a host is a name or an address" in result.stderr) == (2, True)


@pytest.mark.parametrize(("visibility", "count"), [("immediate", 1), ("server", 0)])
def test_visibility_is_that_of_its_organisations(serve_once, visibility, count):
    found = []

    def during(url):
        with Memtrace(url, "mtk_x") as client:
            client.remember("bot", "likes tea")
            found.append(client.recall("bot").count)

    serve_once("--visibility", visibility, "--clock", "manual", "--org", "acme=mtk_x", during=during)
    assert found == [count]


@pytest.mark.parametrize("text", ["=mtk_secret", "acme="])
def test_an_organisation_without_name_or_key_is_refused(invoke, text):
    result = invoke("serve-fake", "--org", text)
    assert result.exit_code == 2
    assert "--org is NAME or NAME=KEY" in result.output
    assert "mtk_secret" not in result.output


def test_a_key_that_is_taken_or_cannot_be_sent_is_refused(invoke):
    for arguments in (["a=mtk_secret", "b=mtk_secret"], ["a=mtk secret"]):
        result = invoke("serve-fake", *(word for text in arguments for word in ("--org", text)))
        assert result.exit_code == 2
        assert "key" in result.output
        assert "secret" not in result.output


def test_a_taken_port_is_a_plain_error(invoke):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = invoke("serve-fake", "--port", str(port))
    assert result.exit_code == 1
    assert result.output == f"memtrace-sdk: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_an_unknown_host_is_a_plain_error(invoke):
    result = invoke("serve-fake", "--host", "no.such.host.invalid")
    assert result.exit_code == 1
    assert "cannot listen on no.such.host.invalid port 0: " in result.output


def test_a_port_that_is_none_is_refused(invoke):
    assert invoke("serve-fake", "--port", "65536").exit_code == 2


def test_without_uvicorn_it_says_what_to_install(invoke, environment):
    environment.setitem(sys.modules, "uvicorn", None)
    result = invoke("serve-fake")
    assert result.exit_code == 2
    assert result.output.splitlines()[1:] == ['run: pip install "memtrace-sdk[server]"']


def test_output_that_nobody_reads_ends_it_and_its_server(invoke, environment):
    servers = []
    begin = serve.LiveServer.start

    def start(server):
        begin(server)
        servers.append(server)

    def broken(text):
        raise BrokenPipeError

    environment.setattr(serve.LiveServer, "start", start)
    environment.setattr(serve.typer, "echo", broken)
    assert invoke("serve-fake").exit_code == 141
    assert servers[0].url == ""


# ---- a store in a file ----------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path / 'memories.db'}"


@pytest.fixture
def serve_store(environment, invoke):
    """Run ``serve`` in this process, and end it as soon as it answers; `during` is called before that."""
    begin = serve.AppServer.start

    def run(*arguments, during=lambda url: None):
        def start_and_end(server):
            begin(server)
            during(server.url)
            signal.raise_signal(signal.SIGTERM)

        environment.setattr(serve.AppServer, "start", start_and_end)
        return invoke("serve", "--port", "0", *arguments)

    return run


def test_clients_with_an_issued_key_use_the_file_over_http(serve_store, invoke, store):
    key = invoke("store", "keys", "create", "acme", "--store", store).stdout.strip()

    def during(url):
        with Memtrace(url, key) as client:
            agent = client.agents.register(name="assistant")
            session = client.sessions.create(agent_id=agent.id)
            client.memories.add(agent_id=agent.id, session_id=session.id, content="User prefers dark mode")
            found.extend(memory.content for memory in client.recall(agent.id).memories)
        with Memtrace(url, "mtk_unknown") as stranger, pytest.raises(AuthenticationError):
            stranger.recall("assistant")
        with opened(url) as connection:
            connection.request("GET", "/_fake/calls")
            found.append(connection.getresponse().status)

    found = []
    result = serve_store("--store", store, during=during)
    assert (result.exit_code, found) == (0, ["User prefers dark mode", 404])
    assert result.stdout.startswith(f"{store} is listening at http://127.0.0.1:")
    assert key not in result.output
    with Memtrace(store, key) as client:
        assert client.memories.list().count == 1


def _with_http_client(url, key):
    """What tests/cli/store_and_read.mjs does, for machines without node."""
    answers = []

    def call(method, path, body=None, sent=key):
        with opened(url) as connection:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"x-api-key": sent, "Content-Type": "application/json"})
            answer = connection.getresponse()
            answers.append([method, path, answer.status, json.loads(answer.read())])
        return answers[-1][3]

    agent = call("POST", "/api/v1/agents", {"name": "assistant"})
    session = call("POST", "/api/v1/sessions", {"agent_id": agent["id"]})
    for content in ("User prefers dark mode", "User likes té 🫖", "User prefers dark mode"):
        said = {"agent_id": agent["id"], "session_id": session["id"], "content": content, "tags": ["ui"]}
        call("POST", "/api/v1/memories", said)
    call("GET", f"/api/v1/memories?agent_id={agent['id']}&order=asc")
    call("POST", "/api/v1/search", {"content_contains": "té"})
    call("POST", f"/api/v1/sessions/{session['id']}/context", {"since": "24h"})
    call("PUT", f"/api/v1/sessions/{session['id']}", {"status": "closed"})
    call("GET", f"/api/v1/agents/{agent['id']}/stats")
    call("GET", "/api/v1/memories", sent="mtk_of_nobody")
    return answers


def _with_node(url, key):
    program = [NODE, str(HERE / "store_and_read.mjs"), url, key]
    done = subprocess.run(program, capture_output=True, text=True, encoding="utf-8", check=True, timeout=PATIENCE)
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "use",
    [
        pytest.param(_with_http_client, id="http.client"),
        pytest.param(_with_node, id="node", marks=pytest.mark.skipif(NODE is None, reason="node is not installed")),
    ],
)
def test_a_client_of_another_language_stores_and_reads(serve_store, invoke, store, use):
    key = invoke("store", "keys", "create", "acme", "--store", store).stdout.strip()
    answers = []
    result = serve_store("--store", store, during=lambda url: answers.extend(use(url, key)))
    assert result.exit_code == 0
    assert [status for _, _, status, _ in answers] == [201, 201, 201, 201, 409, 200, 200, 200, 200, 200, 401]
    said = ["User prefers dark mode", "User likes té 🫖"]
    listed, found, context, closed, stats = [body for *_, body in answers[5:10]]
    assert [memory["content"] for memory in listed["memories"]] == said
    assert [memory["content"] for memory in found["results"]] == said[1:]
    assert (context["memory_count"], "User likes té" in context["context"]) == (2, True)
    assert (closed["status"], stats["memory_count"], stats["session_count"]) == ("closed", 2, 1)
    with Memtrace(store, key) as client:
        assert [memory.content for memory in client.memories.iter(order="asc")] == said


def test_the_url_is_one_line_of_json(serve_store, invoke, store):
    invoke("store", "keys", "create", "acme", "--store", store)
    result = serve_store("--store", store, "--json")
    assert json.loads(result.stdout)["url"].startswith("http://127.0.0.1:")
    assert result.stderr == ""


def test_a_file_that_nobody_has_a_key_of_is_told(serve_store, store):
    result = serve_store("--store", store)
    assert f"nobody has a key yet; issue one with: memtrace-sdk store keys create NAME --store {store}" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--store", "memory://"]])
def test_without_a_file_it_says_that_nothing_lasts(serve_store, arguments):
    found = []

    def during(url):
        found.append(get(url, "/api/v1/agents", "mtk_of_nobody")[0])

    results = [serve_store(*arguments, during=during) for _ in range(2)]
    keys = set()
    for result in results:
        assert result.exit_code == 0
        assert "nothing lasts" in result.stderr
        assert "fake" not in result.output
        first, url, key, last = result.stdout.splitlines()
        assert first == f"A store in memory is listening at {url.removeprefix('MEMTRACE_BASE_URL=')}"
        assert key.startswith("MEMTRACE_API_KEY=mtk_")
        assert last == "Stop it with Ctrl-C."
        keys.add(key)
    assert len(keys) == 2  # one that is the same in every run is no secret
    assert found == [401, 401]


def test_without_a_file_the_key_is_in_the_json_form_too(serve_store):
    told = {}

    def during(url):
        told["url"] = url

    result = serve_store("--json", during=during)
    assert json.loads(result.stdout) == {"url": told["url"], "api_key": json.loads(result.stdout)["api_key"]}
    assert json.loads(result.stdout)["api_key"].startswith("mtk_")


def test_a_file_that_is_no_store_ends_with_status_2(serve_store, store, tmp_path):
    (tmp_path / "memories.db").write_text("my diary, " * 100)
    result = serve_store("--store", store)
    assert result.exit_code == 2
    assert "is not a SQLite database" in result.stderr


def test_a_file_that_fails_meanwhile_is_503_outside_and_told_in_the_log(serve_store, invoke, store, tmp_path, caplog):
    key = invoke("store", "keys", "create", "acme", "--store", store).stdout.strip()

    def during(url):
        with Memtrace(url, key, retry=RetryPolicy(max_attempts=1)) as client:
            client.remember("assistant", "before")
            (tmp_path / "memories.db").rename(tmp_path / "moved.db")
            with pytest.raises(ServerError, match="the store cannot be used now; nothing was stored") as caught:
                client.remember("assistant", "planted")
            found.append((caught.value.status_code, caught.value.maybe_applied))

    found = []
    serve_store("--store", store, during=during)
    assert found == [(503, False)]
    assert "was deleted or replaced" in caplog.text
    assert "planted" not in caplog.text


def test_a_body_that_is_too_large_is_cut_off(serve_store, invoke, store):
    key = invoke("store", "keys", "create", "acme", "--store", store).stdout.strip()

    def during(url):
        with opened(url) as connection:
            connection.connect()
            connection.putrequest("POST", "/api/v1/memories")
            connection.putheader("x-api-key", key)
            connection.putheader("Content-Length", "4194305")
            with suppress(ConnectionError):
                connection.endheaders(b"x" * 4_194_305)
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                connection.getresponse()
        cut.append(True)

    cut = []
    serve_store("--store", store, during=during)
    assert cut == [True]


@pytest.mark.slow
def test_a_fake_on_a_file_finds_everything_again(serve_once, store):
    def during(url):
        with Memtrace(url, "mtk_x") as client:
            client.remember("bot", f"run {len(counts)}")
            counts.append(client.recall("bot").count)

    counts = []
    for _ in range(2):
        serve_once("--store", store, "--org", "acme=mtk_x", during=during)
    assert counts == [1, 2]
