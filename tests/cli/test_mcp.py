"""``memtrace-sdk mcp`` by the real client: over the standard streams, and over HTTP, in this process and as one of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext, suppress

import pytest

from memtrace._cli import mcp as command
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.sampling import is_whole, sample

pytestmark = [pytest.mark.network, pytest.mark.framework]
PATIENCE = 60
WAYS = ["in this process", "as a process"]


@pytest.fixture
def served(serving):
    """A fake server on a port, and the environment of a program that uses it."""
    fake = FakeMemtrace()
    key = fake.organisation("acme", api_key="mtk_planted").api_key
    return fake, {**os.environ, "MEMTRACE_BASE_URL": serving(fake), "MEMTRACE_API_KEY": key, "NO_PROXY": "*"}


def connected(server):
    from mcp import Client

    return Client(server, read_timeout_seconds=PATIENCE)


@pytest.fixture
def over_pipes(served):
    """Start the program as a model's host does, and do something with the connection."""

    def run(work, *arguments, **environment):
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        arguments = ["-m", "memtrace", "mcp", *arguments]
        parameters = StdioServerParameters(command=sys.executable, args=arguments, env={**served[1], **environment})

        async def main():
            async with connected(stdio_client(parameters, errlog=sys.__stderr__)) as model:
                return await work(model)

        return asyncio.run(main())

    return run


@pytest.fixture
def run_here(served, invoke, environment):
    """Run the command in this process, with `serve` in the place of its function `name`."""

    def run(name, serve, *arguments, **settings):
        for variable, value in {**served[1], **settings}.items():
            environment.setenv(variable, value)
        environment.setattr(command, name, serve)
        environment.setattr(command, "on_termination", lambda tell: nullcontext())
        result = invoke("mcp", *arguments)
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        return result.stderr

    return run


@pytest.fixture(params=WAYS if is_whole() else WAYS[:1])
def over_streams(request, run_here):
    """Do something with a connection to the program; its streams go through memory where it runs in this process."""
    if request.param == "as a process":
        return request.getfixturevalue("over_pipes")

    def run(work, *arguments, **settings):
        answers = []

        async def serve(client, server):
            async with client, connected(server) as model:
                answers.append(await work(model))

        assert run_here("_over_streams", serve, *arguments, **settings) == ""
        return answers[0]

    return run


@pytest.fixture
def start_http(served, tmp_path):
    """Start the program with ``--http``; gives the process and the address that it printed."""
    running = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "memtrace", "mcp", "--agent", "assistant", *arguments],
            cwd=tmp_path,
            env={**served[1], **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        line = process.stderr.readline()
        return process, re.search(r"http://\S+/mcp", line)[0]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(params=WAYS if is_whole() else WAYS[:1])
def over_http(request, run_here):
    """Do something at the address at which the program serves over HTTP."""

    def within(work, **settings):
        answers = []
        serve = command._over_http

        async def serve_and_work(client, serving, listening):
            running = asyncio.create_task(serve(client, serving, listening))
            while not serving.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.001)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
            try:
                answers.append((address, await work(address)))
            finally:
                serving.should_exit = True
                await running

        told = run_here("_over_http", serve_and_work, "--agent", "assistant", "--http", "127.0.0.1:0", **settings)
        ((address, answer),) = answers
        assert told == f"memtrace-sdk: MCP over HTTP at {address}\n"
        return answer

    def without(work, **settings):
        _, address = request.getfixturevalue("start_http")("--http", "127.0.0.1:0", **settings)
        return asyncio.run(work(address))

    return within if request.param == "in this process" else without


async def post(address, **headers):
    """The status of an answer to a request that is no program's."""
    import httpx2

    async with httpx2.AsyncClient(trust_env=False) as http:
        return (await http.post(address, json={}, headers=headers)).status_code


async def remembers(model):
    stored = await model.call_tool("remember", {"content": "User likes tea"})
    found = await model.call_tool("recall", {})
    return stored.structured_content["stored"], found.content[0].text


class TestOverTheStandardStreams:
    def test_a_profile_names_the_server_and_the_variable_of_its_key(self, served, over_streams, tmp_path):
        fake, environment = served
        profile = f'[profiles.acme]\nbase_url = "{environment["MEMTRACE_BASE_URL"]}"\napi_key_env = "ACME_KEY"\n'
        (tmp_path / "config.toml").write_text(profile, encoding="utf-8")
        names = {"MEMTRACE_CONFIG": str(tmp_path / "config.toml"), "ACME_KEY": environment["MEMTRACE_API_KEY"]}
        others = {"MEMTRACE_BASE_URL": "http://127.0.0.1:9", "MEMTRACE_API_KEY": "of another"}
        assert over_streams(remembers, "--agent", "assistant", "--profile", "acme", **names, **others)[0] is True
        assert fake.client("acme").recall("assistant").count == 1

    @pytest.mark.slow
    def test_a_model_remembers_on_a_server_and_recalls_it(self, over_pipes, served):
        stored, found = over_pipes(remembers, "--agent", "assistant", "--session", "sess_1")
        assert stored is True
        assert '"content": "User likes tea"' in found
        (row,) = served[0].client(org="acme").memories.list().memories
        assert (row.agent_id, row.session_id, row.content) == ("assistant", "sess_1", "User likes tea")

    def test_it_works_on_the_fake_in_memory_too(self, over_streams, served):
        assert over_streams(remembers, "--agent", "assistant", "--base-url", "memory://")[0] is True
        assert served[0].client(org="acme").memories.list().count == 0

    def test_read_only_offers_what_reads_under_the_prefix(self, over_streams):
        listed = over_streams(
            lambda model: model.list_tools(), "--agent", "assistant", "--read-only", "--prefix", "memory_"
        )
        assert [tool.name for tool in listed.tools] == ["memory_recall", "memory_search"]

    def test_the_index_of_its_search_is_kept_in_the_file_that_is_named(self, over_streams, tmp_path):
        async def work(model):
            await model.call_tool("remember", {"content": "User likes tea"})
            return await model.call_tool("search", {"query": "does the user like tea?"})

        found = over_streams(work, "--agent", "assistant", "--search-index", str(tmp_path / "index"))
        assert "User likes tea" in found.content[0].text
        assert (tmp_path / "index").exists()

    def test_reading_from_the_session_leaves_the_rest_of_the_agent_out(self, over_streams, served):
        client = served[0].client(org="acme")
        for session in ("sess_1", "sess_2"):
            client.memories.add(agent_id="assistant", session_id=session, content=f"of {session}")
        result = over_streams(
            lambda model: model.call_tool("recall", {}),
            *("--agent", "assistant", "--session", "sess_1", "--scope", "session"),
        )
        assert "of sess_1" in result.content[0].text
        assert "of sess_2" not in result.content[0].text

    def test_a_key_that_the_server_refuses_is_a_result_for_the_model(self, over_streams):
        result = over_streams(
            lambda model: model.call_tool("recall", {}), "--agent", "assistant", MEMTRACE_API_KEY="mtk_wrong"
        )
        assert (result.is_error, "cannot be used now" in result.content[0].text) == (True, True)

    def test_it_ends_with_its_input_and_writes_nothing_but_the_protocol(self, invoke, server):
        done = invoke("mcp", "--agent", "assistant", stdin="")
        assert (done.exit_code, done.output) == (0, "")

    def test_an_argument_with_half_a_character_gets_an_error_response(self, invoke, server):
        line = r'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"content":"\ud800"}}}'
        done = invoke("mcp", "--agent", "assistant", stdin=f"{line}\n")
        (response,) = map(json.loads, done.output.splitlines())
        assert (done.exit_code, response["id"], response["error"]["code"]) == (0, 7, -32700)

    @pytest.mark.slow
    def test_a_process_ends_with_its_input_and_writes_nothing_but_the_protocol(self, served, execute):
        done = execute("mcp", "--agent", "assistant", env=served[1], stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.slow
    @pytest.mark.parametrize("number", sample([signal.SIGINT, signal.SIGTERM], 1))
    def test_a_signal_ends_it_with_status_0(self, served, number, tmp_path):
        process = subprocess.Popen(
            [sys.executable, "-m", "memtrace", "mcp", "--agent", "assistant"],
            cwd=tmp_path,
            env=served[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        request = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}\n'
        process.stdin.write(request)
        process.stdin.flush()
        assert '"serverInfo"' in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


class TestTheToolsOfMemtracesOwnServer:
    async def work(self, model):
        names = [tool.name for tool in (await model.list_tools()).tools]
        agent = await model.call_tool("memtrace_agent_register", {"name": "reviewer"})
        session = await model.call_tool("memtrace_session_create", {"agent_id": agent.structured_content["id"]})
        asked = {"agent_id": "reviewer", "session_id": session.structured_content["id"]}
        await model.call_tool("memtrace_remember", {**asked, "content": "User likes tea"})
        await model.call_tool(
            "memtrace_decide", {"agent_id": "reviewer", "decision": "Serve tea", "reasoning": "taste"}
        )
        found = await model.call_tool("memtrace_search", {"query": "tea"})
        context = await model.call_tool("memtrace_session_context", {"session_id": asked["session_id"]})
        recalled = await model.call_tool("memtrace_recall", {"agent_id": "reviewer"})
        resource = await model.read_resource(f"memtrace://sessions/{asked['session_id']}/context")
        prompt = await model.get_prompt("what_do_you_remember", {"agent_id": "reviewer", "topic": "tea"})
        return names, [
            found.content[0].text,
            context.content[0].text,
            recalled.content[0].text,
            resource.contents[0].text,
            prompt.messages[0].content.text,
        ]

    def check(self, names, texts):
        assert len(names) == 7
        assert all(name.startswith("memtrace_") for name in names)
        assert all("User likes tea" in text for text in texts)

    @pytest.mark.slow
    def test_they_are_served_without_an_agent(self, over_pipes, served):
        self.check(*over_pipes(self.work))
        assert served[0].client(org="acme").recall("reviewer").count == 2

    @pytest.mark.slow
    @pytest.mark.parametrize("tools", ["of one agent", "of all"])
    def test_a_file_needs_no_server_and_survives_a_restart(self, over_pipes, tmp_path, tools):
        place = {"MEMTRACE_BASE_URL": f"sqlite:///{tmp_path / 'agent.db'}", "MEMTRACE_API_KEY": ""}
        if tools == "of all":
            self.check(*over_pipes(self.work, **place))
            again = over_pipes(lambda model: model.call_tool("memtrace_recall", {"agent_id": "reviewer"}), **place)
        else:
            over_pipes(remembers, "--agent", "assistant", **place)
            again = over_pipes(
                lambda model: model.call_tool("search", {"query": "tea"}), "--agent", "assistant", **place
            )
        assert "User likes tea" in again.content[0].text

    def test_read_only_offers_what_reads(self, over_streams):
        listed = over_streams(lambda model: model.list_tools(), "--read-only")
        assert [tool.name for tool in listed.tools] == [
            "memtrace_recall",
            "memtrace_search",
            "memtrace_session_context",
        ]

    @pytest.mark.parametrize("option", [("--session", "s"), ("--scope", "session"), ("--prefix", "m_")])
    def test_an_option_of_one_agents_tools_needs_the_agent(self, invoke, server, option):
        result = invoke("mcp", *option)
        assert result.exit_code == 2
        assert f"{option[0]} is for the tools of one agent: add --agent ID" in result.output.replace("\n", " ")


class TestTheVariablesOfMemtracesOwnServer:
    def test_memtrace_url_has_the_address(self, over_streams, served):
        url = served[1]["MEMTRACE_BASE_URL"]
        assert over_streams(remembers, "--agent", "a", MEMTRACE_BASE_URL="", MEMTRACE_URL=url)[0] is True
        assert served[0].client("acme").recall("a").count == 1

    @pytest.mark.parametrize(
        ("alias", "told"), [("http://127.0.0.1:9/", ""), ("http://127.0.0.1:8", "MEMTRACE_URL is ignored: ")]
    )
    def test_memtrace_base_url_wins_with_a_note_where_they_differ(self, invoke, environment, alias, told):
        environment.setenv("MEMTRACE_API_KEY", "mtk_planted")
        environment.setenv("MEMTRACE_BASE_URL", "http://127.0.0.1:9")
        environment.setenv("MEMTRACE_URL", alias)
        result = invoke("mcp", stdin="")
        assert (result.exit_code, result.stdout) == (0, "")
        assert (told in result.stderr) if told else (result.stderr == "")

    def test_a_profile_or_an_option_is_used_without_a_note(self, invoke, environment):
        environment.setenv("MEMTRACE_URL", "http://127.0.0.1:8")
        result = invoke("mcp", "--base-url", "memory://", stdin="")
        assert (result.exit_code, result.stderr) == (0, "")

    def test_an_invalid_one_is_told_by_its_name(self, invoke, environment):
        environment.setenv("MEMTRACE_URL", "ftp://x")
        environment.setenv("MEMTRACE_API_KEY", "mtk_planted")
        result = invoke("mcp", stdin="")
        assert result.exit_code == 2
        assert "(from MEMTRACE_URL; docs: " in result.output.replace("\n", " ")

    def test_with_a_key_and_no_address_it_is_a_server_on_this_machine(self, invoke, environment):
        environment.setenv("MEMTRACE_API_KEY", "mtk_planted")
        result = invoke("mcp", stdin="")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == "memtrace-sdk: no base URL is set: the server is http://localhost:9100\n"

    def test_other_commands_do_not_read_it(self, invoke, environment):
        environment.setenv("MEMTRACE_URL", "memory://")
        assert "the base URL is missing" in invoke("recall", "a").output


OPENING = (
    '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}\n'
    '{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
)


def call(number, name, **arguments):
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}) + "\n"


class TestAClientThatGoesAway:
    @pytest.fixture
    def start(self, served, tmp_path):
        processes = []

        def run():
            process = subprocess.Popen(
                [sys.executable, "-m", "memtrace", "mcp"],
                cwd=tmp_path,
                env=served[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.append(process)
            process.stdin.write(OPENING)
            process.stdin.flush()
            assert '"serverInfo"' in process.stdout.readline()
            return process

        yield run
        for process in processes:
            process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                with suppress(BrokenPipeError):
                    stream.close()
            process.wait()

    @pytest.mark.slow
    def test_calls_in_flight_when_the_input_ends_are_finished_and_answered(self, start, served):
        served[0].faults.add(Fault("delay", seconds=0.2, times=9))
        process = start()
        calls = [call(number, "memtrace_remember", agent_id="a", content=str(number)) for number in range(1, 6)]
        output, errors = process.communicate("".join(calls), timeout=PATIENCE)
        assert (process.returncode, errors) == (0, "")
        assert sorted(json.loads(line)["id"] for line in output.splitlines()) == [1, 2, 3, 4, 5]
        assert served[0].client("acme").recall("a").count == 5

    @pytest.mark.slow
    @pytest.mark.parametrize("ends", ["both ends", "only the output"])
    def test_calls_whose_results_nobody_reads_are_finished_and_that_is_no_failure(self, start, served, ends):
        served[0].faults.add(Fault("delay", seconds=1.0, times=9))  # all are read before the first has a result
        process = start()
        process.stdout.close()
        for number in range(1, 4):
            process.stdin.write(call(number, "memtrace_remember", agent_id="a", content=str(number)))
        process.stdin.flush()
        if ends == "both ends":
            process.stdin.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""
        assert served[0].client("acme").recall("a").count == 3


class TestOverHttp:
    def test_a_model_remembers_on_a_server_and_recalls_it(self, over_http, served):
        async def work(address):
            async with connected(address) as model:
                return await remembers(model)

        stored, found = over_http(work)
        assert (stored, "User likes tea" in found) == (True, True)
        assert served[0].client(org="acme").memories.list().count == 1

    def test_with_a_token_only_those_who_send_it_get_in(self, over_http):
        async def work(address):
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            headers = {"authorization": "Bearer mcp_planted"}
            async with (
                httpx2.AsyncClient(headers=headers, trust_env=False) as http,
                connected(streamable_http_client(address, http_client=http)) as model,
            ):
                return await post(address), await remembers(model)

        refused, (stored, _) = over_http(work, MEMTRACE_MCP_TOKEN="mcp_planted")
        assert (refused, stored) == (401, True)

    def test_a_page_of_another_site_is_refused(self, over_http):
        async def work(address):
            return await post(address, origin="http://evil.example"), await post(address, host="evil.example")

        assert over_http(work) == (403, 421)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("number", "environment"),
        sample([(signal.SIGINT, {"MEMTRACE_MCP_TOKEN": "mcp_planted"}), (signal.SIGTERM, {})], 1),
    )
    def test_a_signal_ends_it_with_status_0_and_no_secret_was_printed(self, start_http, number, environment):
        process, _ = start_http("--http", "[::1]:0" if socket.has_ipv6 else "127.0.0.1:0", **environment)
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, output) == (0, "")
        assert "planted" not in errors

    def test_a_port_that_is_taken_is_told_with_status_1(self, invoke, server):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = invoke("mcp", "--agent", "a", "--http", f"127.0.0.1:{port}")
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == f"memtrace-sdk: cannot listen on 127.0.0.1:{port}: Address already in use\n"


class TestWithoutAServer:
    def test_memories_are_kept_in_a_file_of_this_machine(self, invoke, environment, tmp_path):
        environment.setattr("platformdirs.user_data_path", lambda *names, **_: tmp_path / "my data" / names[0])
        place = tmp_path / "my data" / "memtrace" / "memories.db"
        result = invoke("mcp", "--agent", "a", stdin="")
        assert (result.exit_code, result.stdout) == (0, "")
        assert f"no server is named: memories are kept in {place}" in result.stderr

    @pytest.mark.slow
    def test_a_model_finds_what_an_earlier_run_remembered(self, over_pipes, tmp_path):
        folder = {
            "MEMTRACE_BASE_URL": "",
            "MEMTRACE_API_KEY": "",
            "XDG_DATA_HOME": str(tmp_path),
            "HOME": str(tmp_path),
        }

        async def remember(model):
            return await model.call_tool("remember", {"content": "User prefers dark mode"})

        async def recall(model):
            return await model.call_tool("recall", {})

        assert not over_pipes(remember, "--agent", "assistant", **folder).is_error
        (recalled,) = over_pipes(recall, "--agent", "assistant", **folder).content
        assert "User prefers dark mode" in recalled.text


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--agent", "no spaces"], "agent_id must be a letter"),
            (["--agent", "a", "--session", "no spaces"], "session_id must be a letter"),
            (["--agent", "a", "install", "cursor"], "--agent is in front of install: put it behind"),
            (["--agent", "a", "--scope", "session"], "scope='session' needs a session_id"),
            (["--agent", "a", "--prefix", "my "], "prefix must be of letters"),
            (["--agent", "a", "--base-url", "ftp://x"], "(from --base-url; docs: "),
            (["--agent", "a", "--http", "8765"], "--http is HOST:PORT"),
            (["--agent", "a", "--http", "localhost:99999"], "--http is HOST:PORT"),
            (["--agent", "a", "--http", "0.0.0.0:0"], "--http 0.0.0.0:0 can be reached by others"),
            (["--agent", "a", "--http", "memory.example:0"], "can be reached by others"),
            (["--agent", "a", "--http", "127.0.0.2:0"], "can be reached by others"),
        ],
    )
    def test_an_option_that_is_wrong_ends_with_status_2(self, invoke, environment, arguments, told):
        environment.setenv("MEMTRACE_API_KEY", "mtk_planted")
        environment.setenv("MEMTRACE_BASE_URL", "http://127.0.0.1:9")
        result = invoke("mcp", *arguments)
        assert result.exit_code == 2
        assert told in result.output.replace("\n", " ")
        assert "planted" not in result.output

    def test_a_profile_that_is_not_there_is_told(self, invoke):
        result = invoke("mcp", "--agent", "a", "--profile", "acme")
        assert result.exit_code == 2
        assert "acme" in result.output

    def test_a_key_that_is_missing_is_told(self, invoke):
        result = invoke("mcp", "--agent", "a", "--base-url", "http://127.0.0.1:9")
        assert result.exit_code == 2
        assert "MEMTRACE_API_KEY" in result.output

    def test_without_the_package_it_says_what_to_install(self, invoke, environment):
        for name in [name for name in sys.modules if name.startswith("memtrace.integrations.mcp")]:
            environment.delitem(sys.modules, name)
        environment.setitem(sys.modules, "mcp", None)
        environment.setitem(sys.modules, "mcp.server.lowlevel", None)
        result = invoke("mcp", "--agent", "a", "--base-url", "memory://")
        assert result.exit_code == 2
        assert "this command needs the package mcp, not installed here" in result.output
        assert 'pip install "memtrace-sdk[mcp]"' in result.output
