"""``memtrace-sdk view`` as a process of its own: what it prints, whom it lets in, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from contextlib import nullcontext

import httpx
import pytest

from memtrace import Memtrace
from memtrace._cli import view as command
from tests.cli.conftest import KEY

pytestmark = pytest.mark.network


@pytest.fixture
def start(tmp_path, server, client):
    """Start the program; gives the process and the first line that it printed."""
    client.memories.add(agent_id="assistant", content="User prefers tea")
    running = []

    def run(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "memtrace", "view", "--no-browser", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process, process.stdout.readline().rstrip("\n")

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def here(server, client, invoke, environment):
    """Run the command in this process, and do something at its URL before it ends."""
    client.memories.add(agent_id="assistant", content="User prefers tea")

    def run(work, *arguments):
        serve, done = command._serve, []

        async def serve_and_work(client, serving, listening, started):
            def begun():
                started()
                done.append(asyncio.get_running_loop().run_in_executor(None, finish, serving))

            await serve(client, serving, listening, begun)

        def finish(serving):
            try:
                return work(json.loads(urls[0])["url"] if "--json" in arguments else urls[0])
            finally:
                serving.should_exit = True

        urls = []
        environment.setattr(command, "_serve", serve_and_work)
        environment.setattr(command, "on_termination", lambda tell: nullcontext())
        environment.setattr(command.typer, "echo", urls.append)
        result = invoke("view", *arguments)
        for thread in threading.enumerate():
            if thread.name == command.BROWSER_THREAD:
                thread.join(60)
        assert result.exit_code == 0, result.output
        return done[0].result(), result

    return run


def browse(url):
    """The page behind the URL, as a browser gets it."""
    with httpx.Client(trust_env=False, follow_redirects=True) as http:
        return http.get(url)


@pytest.mark.slow
def test_it_prints_the_url_first_and_serves_the_page_there(start):
    _, url = start()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", url)
    page = browse(url)
    assert (page.status_code, str(page.url)) == (200, f"{url.partition('/?')[0]}/timeline")
    assert "User prefers tea" in page.text
    assert KEY not in page.text
    assert "key of MEMTRACE_API_KEY" in page.text
    assert "server" not in page.headers


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_without_a_trace(start, number):
    process, url = start()
    browse(url)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert err == "memtrace-sdk: Ctrl-C ends it. Users of this machine who have the URL can read the memories.\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_while_a_page_loads_ends_it_without_a_trace(start, number):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process, url = start("--base-url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        base, _, query = url.partition("/?")
        address = base.removeprefix("http://")
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))) as first:
            first.sendall(f"GET /?{query} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
            cookie = re.search(rb"(?i)set-cookie: ([^;]+)", first.recv(65536))[1].decode()
        with socket.create_connection((host, int(port))) as page:
            page.sendall(f"GET /timeline HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n".encode())
            silent.settimeout(60)
            asked, _ = silent.accept()  # the page waits for the server
            with asked:
                process.send_signal(number)
                out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert err == "memtrace-sdk: Ctrl-C ends it. Users of this machine who have the URL can read the memories.\n"


@pytest.mark.slow
def test_a_websocket_is_refused_without_a_log(start):
    process, url = start()
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 303
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (
        "",
        "memtrace-sdk: Ctrl-C ends it. Users of this machine who have the URL can read the memories.\n",
    )


def test_an_error_of_ours_is_logged_while_the_page_is_served(here, environment, caplog):
    async def fail(self, request):
        raise RuntimeError("ours")

    environment.setattr("memtrace.integrations._viewer._app.Viewer._home", fail)
    page, _ = here(browse, "--no-browser")
    assert page.status_code == 500
    assert [record.exc_info[0] for record in caplog.records if record.name == "uvicorn.error"] == [RuntimeError]


@pytest.mark.slow
def test_json_is_one_line_for_the_program_that_starts_it(start):
    process, line = start("--json", "--agent", "assistant")
    url = json.loads(line)["url"]
    assert url.endswith("&agent=assistant")
    assert browse(url).url.query == b"agent=assistant"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")


@pytest.mark.slow
def test_nothing_is_shown_without_the_token_or_at_another_address(start):
    _, url = start()
    base = url.partition("/?")[0]
    for path in ("/", "/timeline", "/timeline.json", "/static/viewer.js"):
        assert browse(f"{base}{path}").status_code == 403
    port = int(base.rpartition(":")[2])
    with pytest.raises(OSError, match=r"refused"):
        socket.create_connection(("127.0.0.2", port), timeout=10)


def test_a_port_in_use_is_an_error_with_what_to_do(invoke, server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke("view", "--no-browser", "--port", str(port))
    assert (result.exit_code, result.stdout) == (1, "")
    told = os.strerror(98) if sys.platform == "linux" else ""
    assert f"cannot listen on 127.0.0.1:{port}: {told}" in result.stderr
    assert "--port 0 chooses a free port" in result.stderr


def test_a_store_that_is_not_there_is_not_made(invoke, tmp_path):
    result = invoke("view", "--no-browser", "--base-url", f"sqlite:///{tmp_path}/none.db")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
    assert not (tmp_path / "none.db").exists()


def test_an_invalid_agent_id_is_refused_before_anything_is_served(invoke, server, environment):
    environment.setattr(command, "_serve", None)
    result = invoke("view", "--no-browser", "--agent", "no agent")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("memtrace-sdk: agent_id must be ")


def test_an_invalid_agent_id_of_a_file_is_refused(invoke, server, tmp_path):
    path = tmp_path / "out.html"
    result = invoke("view", "--html", str(path), "--agent", "no agent")
    assert (result.exit_code, result.stdout, path.exists()) == (2, "", False)
    assert result.stderr.startswith("memtrace-sdk: agent_id must be ")


def test_a_connection_that_cannot_be_is_refused(invoke, environment):
    assert invoke("view", "--no-browser").exit_code == 2
    environment.setenv("MEMTRACE_API_KEY", "k")
    result = invoke("view", "--no-browser", "--base-url", "nonsense://host")
    assert result.exit_code == 2
    assert "--base-url" in result.stderr


@pytest.mark.parametrize("package", ["jinja2", "starlette", "uvicorn"])
def test_without_the_extra_the_message_says_how_to_install_it(invoke, environment, package):
    environment.setitem(sys.modules, package, None)
    result = invoke("view", "--no-browser")
    assert result.exit_code == 2
    assert f"needs the package {package}" in result.stderr
    assert 'pip install "memtrace-sdk[view]"' in result.stderr


def test_a_file_is_served_too(here, tmp_path):
    url = f"sqlite:///{tmp_path}/agent.db"
    with Memtrace(url) as client:
        client.remember("assistant", "it is in a file")
    page, _ = here(browse, "--base-url", url, "--no-browser")
    assert "it is in a file" in page.text
    assert "key of" not in page.text


def test_json_opens_no_browser(here, environment):
    environment.setattr(webbrowser, "get", None)
    page, result = here(browse, "--json")
    assert (page.status_code, result.stderr) == (200, "")


def test_the_browser_is_opened_at_the_url(here, environment):
    opened = []

    class Browser:
        open = opened.append

    environment.setattr(webbrowser, "get", Browser)
    page, _ = here(browse)
    assert len(opened) == 1
    assert "User prefers tea" in page.text


def test_the_page_is_served_while_a_browser_starts(here, environment):
    served, waited = threading.Event(), []

    class Browser:
        def open(self, url):
            waited.append(served.wait(20))

    def work(url):
        page = browse(url)
        served.set()
        return page

    environment.setattr(webbrowser, "get", Browser)
    assert here(work)[0].status_code == 200
    assert waited == [True]


def test_a_browser_in_the_terminal_is_not_opened(here, environment):
    terminal = webbrowser.GenericBrowser("w3m")
    terminal.open = None
    environment.setattr(webbrowser, "get", lambda: terminal)
    assert here(browse)[0].status_code == 200


def test_without_a_browser_the_page_is_served_all_the_same(here, environment):
    def none():
        raise webbrowser.Error("could not locate runnable browser")

    environment.setattr(webbrowser, "get", none)
    assert here(browse)[0].status_code == 200


def test_the_key_is_in_no_error_of_the_page(here, memtrace_fake):
    memtrace_fake.revoke_key(KEY)
    page, _ = here(browse, "--no-browser")
    assert page.status_code == 502
    assert 'role="alert"' in page.text
    assert KEY not in page.text


def test_a_server_that_cannot_begin_ends_the_command(here, server, invoke, environment):
    async def serve(self, sockets):
        return None

    environment.setattr("uvicorn.Server.serve", serve)
    result = invoke("view", "--no-browser")
    assert (result.exit_code, result.stdout) == (0, "")


class TestFile:
    def test_it_is_written_for_its_owner(self, invoke, client, tmp_path):
        client.memories.add(agent_id="assistant", content="User prefers tea")
        client.memories.add(agent_id="other", content="not theirs")
        path = tmp_path / "out.html"
        result = invoke("view", "--html", str(path), "--agent", "assistant")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"memtrace-sdk: {path} has 1 memories\n"
        text = path.read_text(encoding="utf-8")
        assert "User prefers tea" in text
        assert "not theirs" not in text
        assert KEY not in text
        assert path.stat().st_mode & 0o077 == 0

    def test_json_says_what_was_written(self, invoke, client, tmp_path, environment):
        environment.setattr("memtrace.integrations._viewer._document.MEMORIES", 1)
        for content in ("a", "b"):
            client.memories.add(agent_id="assistant", content=content)
        path = str(tmp_path / "out.html")
        told = json.loads(invoke("view", "--html", path, "--json").stdout)
        assert told == {"file": path, "memories": 1, "has_more": True}
        assert "older ones are left out" in invoke("view", "--html", path).stderr

    def test_standard_output_gets_it_too(self, invoke, client):
        client.memories.add(agent_id="assistant", content="User prefers tea")
        assert "User prefers tea" in invoke("view", "--html", "-").stdout

    @pytest.mark.parametrize(("name", "status"), [("", 2), ("missing/out.html", 1)])
    def test_what_cannot_be_written_is_an_error(self, invoke, server, tmp_path, name, status):
        result = invoke("view", "--html", str(tmp_path / name))
        assert (result.exit_code, result.stdout) == (status, "")
        assert ("is not a file" in result.stderr) is (status == 2)

    def test_an_error_of_the_server_writes_nothing(self, invoke, server, memtrace_fake, tmp_path):
        memtrace_fake.revoke_key(KEY)
        path = tmp_path / "out.html"
        assert invoke("view", "--html", str(path)).exit_code == 5
        assert not path.exists()
