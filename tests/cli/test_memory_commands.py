"""remember, recall, search, filter, context, agents, sessions and stats, against a server on a port."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from memtrace._cli.agent_names import AgentNames
from memtrace._cli.exit_status import CommandError
from memtrace._cli.stdin import text_of
from memtrace_transports.memory import Fault
from tests.cli.conftest import KEY

pytestmark = pytest.mark.network


def on_a_terminal(*arguments, stderr=False, status=0):
    """What a command writes to a terminal; with its errors and notes, if these are asked for."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    near, far = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "memtrace", *arguments],
        stdin=far,
        stdout=far,
        stderr=far if stderr else None,
        check=False,
        timeout=60,
    )
    seen = os.read(near, 65536)
    os.close(near)
    os.close(far)
    assert done.returncode == status, seen
    return seen


def table(result):
    """The cells of each line; the header first."""
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.stdout.splitlines()]


class TestRemember:
    def test_every_option_reaches_the_memory(self, invoke, client):
        options = [
            "--type", "decision", "--event-type", "choice", "--tag", "ui", "--tag", "gui", "--importance", "0.5",
            "--session", "sess_1", "--metadata", '{"why": null, "n": 1.5}', "--dedup-key", "mine", "--wait",
        ]  # fmt: skip
        result = invoke("remember", "assistant", "Open in dark mode", *options, "--json")
        assert result.exit_code == 0, result.output
        (stored,) = client.recall("assistant").memories
        assert json.loads(result.stdout) == json.loads(stored.model_dump_json(exclude_unset=True))
        assert (stored.memory_type, stored.event_type, stored.tags) == ("decision", "choice", ["ui", "gui"])
        assert (stored.importance, stored.session_id, stored.dedup_key) == (0.5, "sess_1", "mine")
        assert stored.metadata == {"why": None, "n": 1.5}

    def test_people_see_the_row(self, invoke, client):
        header, row = table(invoke("remember", "assistant", "User prefers dark mode", "--tag", "ui"))
        assert header == ["time", "agent", "type", "event", "tags", "content"]
        assert row[2:] == ["assistant", "episodic", "general", "ui", "User", "prefers", "dark", "mode"]

    def test_a_hyphen_reads_the_standard_input_without_its_last_line_break(self, invoke, client):
        assert invoke("remember", "assistant", "-", stdin="two\nlines\n").exit_code == 0
        assert client.recall("assistant").memories[0].content == "two\nlines"

    @pytest.mark.parametrize("columns", ["0", "1", "5", "19", "99999999"])
    def test_a_width_that_no_table_fits_counts_as_unset(self, invoke, client, environment, columns):
        client.remember("assistant", "User prefers dark mode in each of the windows of the application")
        unset = invoke("recall", "assistant").stdout
        environment.setenv("COLUMNS", columns)
        assert invoke("recall", "assistant").stdout == unset
        assert "dark mode in each of the windows of the application\n" in unset

    def test_a_byte_order_mark_at_the_beginning_of_the_standard_input_is_not_stored(self, invoke, client):
        assert invoke("remember", "assistant", "-", stdin=b"\xef\xbb\xbftext\n").exit_code == 0
        assert client.recall("assistant").memories[0].content == "text"

    @pytest.mark.parametrize(
        ("given", "kept"),
        [("2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00Z"), ("2026-01-31", "2026-01-31T00:00:00Z")],
    )
    @pytest.mark.parametrize("command", [("remember", "a", "b"), ("decide", "a", "b", "c")], ids=" ".join)
    def test_when_it_happened_is_kept(self, invoke, client, command, given, kept):
        assert invoke(*command, "--occurred-at", given).exit_code == 0
        assert client.recall("a")[0].metadata["occurred_at"] == kept

    def test_when_it_happened_counts_from_now_too(self, invoke, client):
        invoke("remember", "a", "b", "--occurred-at", "2h")
        happened = client.recall("a")[0].occurred_at
        assert timedelta(hours=2) <= datetime.now(timezone.utc) - happened < timedelta(hours=3)

    def test_a_standard_input_longer_than_any_request_is_not_read_to_its_end(self, invoke, client, environment):
        result = invoke("remember", "assistant", "-", stdin=b"x" * 5_000_000)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "the standard input has more than 4,194,304 bytes, which no request can carry" in result.stderr
        stream = io.BytesIO(b"x" * 5_000_000)
        environment.setattr(sys, "stdin", io.TextIOWrapper(stream))
        with pytest.raises(CommandError, match="has more than"):
            text_of("-")
        assert stream.tell() == 4 * 1024 * 1024 + 1

    def test_a_duplicate_is_one_line_and_status_4(self, invoke, client):
        client.remember("assistant", "User prefers dark mode")
        result = invoke("remember", "assistant", "User prefers dark mode")
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (4, "", 1)
        assert "another dedup_key, or a client with dedup='per_call', keeps both" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["no spaces please", "secret"], "agent_id must be a letter"),
            (["assistant", "secret", "--metadata", "{secret"], "--metadata: not JSON: Expecting property name"),
            (["assistant", "secret", "--metadata", " "], "--metadata is empty; it must be a JSON object"),
            (["assistant", "secret", "--metadata", "[1]"], "--metadata: not a JSON object"),
            (["assistant", "secret", "--importance", "2"], "importance"),
            (["assistant", ""], "CONTENT must be"),
            (
                ["assistant", "secret", "--occurred-at", "yesterday"],
                "--occurred-at must be a whole number from 1 to 8760 and h, d",
            ),
        ],
    )
    def test_bad_input_is_refused_unsent_in_one_line(self, invoke, server, memtrace_fake, arguments, told):
        result = invoke("remember", *arguments)
        assert (result.exit_code, len(memtrace_fake.calls)) == (2, 0)
        assert told in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert "secret" not in result.output

    def test_input_that_is_not_utf8_is_refused(self, invoke, server):
        result = invoke("remember", "assistant", "-", stdin=b"\xff")
        assert (result.exit_code, result.stderr) == (2, "memtrace-sdk: the standard input is not UTF-8; convert it\n")

    @pytest.mark.slow
    @pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="this system has no /proc")
    def test_input_that_cannot_be_read_is_told(self, execute, server, tmp_path):
        with Path("/proc/self/mem").open("rb") as unreadable:
            result = execute("remember", "assistant", "-", stdin=unreadable)
        assert (result.returncode, result.stderr) == (
            2,
            "memtrace-sdk: the standard input cannot be read: Input/output error\n",
        )

    def test_a_lost_answer_ends_with_status_7(self, invoke, client, memtrace_fake, at_once):
        memtrace_fake.faults.add(
            Fault("reset", on="memories.add", applied=True), Fault("status", on="memories.list", status=500, times=None)
        )
        result = invoke("remember", "assistant", "secret")
        assert result.exit_code == 7
        assert "may have been applied" in result.stderr
        assert "look for it before you store it again" in result.stderr
        assert "memtrace-sdk recall AGENT" in result.stderr
        assert "secret" not in result.stderr


class TestDecide:
    def test_it_stores_what_the_sdk_does_with_every_option(self, invoke, client):
        options = ["--tag", "ui", "--importance", "0.5", "--session", "sess_1", "--metadata", '{"n": 1}', "--wait"]
        result = invoke("decide", "assistant", "Open in dark mode", "asked for", *options, "--json")
        assert result.exit_code == 0, result.output
        (stored,) = client.recall("assistant").memories
        assert json.loads(result.stdout) == json.loads(stored.model_dump_json(exclude_unset=True))
        assert (stored.memory_type, stored.event_type, stored.tags) == ("decision", "decision", ["ui"])
        assert (stored.importance, stored.session_id) == (0.5, "sess_1")
        assert stored.metadata == {"n": 1, "reasoning": "asked for"}

    def test_a_decision_shows_its_reasoning_in_every_table(self, invoke, client):
        shown = "Open in dark mode (reasoning: asked for)\n"
        assert invoke("decide", "assistant", "-", "asked for", stdin="Open in dark mode\n").stdout.endswith(shown)
        for command in (("recall", "assistant"), ("filter", "dark"), ("search", "dark")):
            assert invoke(*command).stdout.endswith(shown)

    @pytest.mark.parametrize("metadata", [None, {"reasoning": ""}, {"other": 1}])
    def test_a_decision_without_one_is_its_content(self, invoke, client, metadata):
        client.memories.add(agent_id="a", content="Tea", memory_type="decision", metadata=metadata)
        assert invoke("recall", "a").stdout.endswith("  Tea\n")

    def test_a_second_reasoning_is_refused(self, invoke, server, memtrace_fake):
        result = invoke("decide", "a", "b", "c", "--metadata", '{"reasoning": "secret"}')
        assert (result.exit_code, len(memtrace_fake.calls)) == (2, 0)
        assert "--metadata has a reasoning, beside REASONING" in result.stderr
        assert "secret" not in result.output


READS_OF_AN_AGENT = [
    ("recall", "{agent}"),
    ("recall", "{agent}", "--query", "tea"),
    ("search", "tea", "--agent", "{agent}"),
    ("filter", "--agent", "{agent}"),
    ("context", "--prompt", "--agent", "{agent}"),
    ("context", "--query", "tea", "--agent", "{agent}"),
    ("sessions", "--agent", "{agent}"),
    ("agents", "{agent}"),
    ("stats", "{agent}"),
    ("export", "{folder}/lines.jsonl", "--agent", "{agent}"),
    ("view", "--html", "{folder}/out.html", "--agent", "{agent}"),
]


class TestRecall:
    def test_the_newest_come_first_and_the_rest_is_told_of(self, invoke, client, memtrace_fake):
        for number in range(3):
            memtrace_fake.clock.advance(1)
            client.remember("assistant", f"Step {number}")
        result = invoke("recall", "assistant", "--limit", "2")
        assert [row[-1] for row in table(result)[1:]] == ["2", "1"]
        assert "the newest 2; for more: --limit N" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("old",), "old has nothing since 24h; its newest memory is of 2026-01-01 00:00 UTC: give a longer --since"),
            (("old", "--since", "1h"), "old has nothing since 1h; its newest memory"),
            (("old", "--query", "coffee"), "nothing that old has of all times is relevant to the query; its newest memory is of 2026"),
            (("old", "--query", "tea", "--since", "1h"), "nothing that old has since 1h is relevant to the query; its newest memory"),
            (("old", "--until", "1h"), "old has nothing since 24h until 1h; its newest memory is of 2026-01-01 00:00 UTC: give another --since or --until, or --query\n"),
            (("old", "--since", "3d", "--tag", "ui"), "old has nothing since 3d with these filters; its newest memory is of 2026-01-01 00:00 UTC: give a longer --since, or leave a filter out\n"),
            (("old", "--query", "tea", "--type", "decision"), "nothing that old has of all times with these filters is relevant to the query; its newest memory"),
            (("Odl",), "the agent Odl is unknown: nobody has written to it, and it is not registered; did you mean old?\n"),
            (("zzz",), "the agent zzz is unknown: nobody has written to it, and it is not registered\n"),
            (("helper",), "no memory is stored under helper; the agent of that name stores under its id: memtrace-sdk recall agent_"),
        ],
    )  # fmt: skip
    def test_where_nothing_is_found_it_says_why_on_stderr_alone(
        self, invoke, client, memtrace_fake, at_once, environment, arguments, told
    ):
        client.remember("old", "User drinks tea")
        client.agents.register(name="helper")
        memtrace_fake.clock.advance(48 * 3600)
        environment.setattr("memtrace._runtime.config.SystemClock", lambda: memtrace_fake.clock)
        result = invoke("recall", *arguments)
        assert (result.exit_code, result.stdout) == (0 if "old" in arguments else 3, "")
        assert result.stderr.startswith(f"memtrace-sdk: {told}")
        assert len(result.stderr.splitlines()) == 1
        as_json = invoke("recall", *arguments, "--json")
        if "old" in arguments:
            assert (as_json.exit_code, json.loads(as_json.stdout)["count"], as_json.stderr) == (0, 0, "")
        else:
            assert (as_json.exit_code, as_json.stdout, as_json.stderr) == (3, "", result.stderr)

    def test_a_registered_agent_without_memories_is_no_unknown_one(self, invoke, client):
        agent = client.agents.register(name="helper")
        for command in ("recall", "stats"):
            result = invoke(command, agent.id)
            assert (result.exit_code, result.stderr) == (
                0,
                f"memtrace-sdk: the agent {agent.id} is registered, and has no memories yet\n",
            )

    def test_since_chooses(self, invoke, client, memtrace_fake):
        client.remember("assistant", "old")
        memtrace_fake.clock.advance(48 * 3600)
        assert json.loads(invoke("recall", "assistant", "--json").stdout)["count"] == 0
        found = json.loads(invoke("recall", "assistant", "--since", "3d", "--json").stdout)
        assert (found["count"], found["memories"][0]["content"]) == (1, "old")

    @pytest.mark.memtrace(strict=False)  # which refuses to find gui where ui is asked for
    @pytest.mark.parametrize("query", [(), ("--query", "step")])
    def test_every_filter_chooses(self, invoke, client, memtrace_fake, query):
        for number, (kind, tag) in enumerate([("episodic", "ui"), ("decision", "ui"), ("entity", "gui")]):
            client.memories.add(agent_id="a", content=f"step {number}", memory_type=kind, tags=[tag])
            memtrace_fake.clock.advance(3600)

        def found(*options):
            rows = json.loads(invoke("recall", "a", *query, *options, "--json").stdout)["memories"]
            return sorted(row["content"] for row in rows)

        until = "2026-01-01T00:30:00Z"
        assert found("--since", "2020-01-01") == ["step 0", "step 1", "step 2"]
        assert found("--since", "2020-01-01", "--until", until) == ["step 0"]
        assert found("--since", "2020-01-01", "--type", "decision") == ["step 1"]
        assert found("--since", "2020-01-01", "--type", "decision", "--type", "entity") == ["step 1", "step 2"]
        assert found("--since", "2020-01-01", "--tag", "ui") == ["step 0", "step 1"]
        parts = found("--since", "2020-01-01", "--tag", "ui", "--tags-match", "substring")
        assert parts == ["step 0", "step 1", "step 2"]

    def test_an_empty_agent_is_not_everyone(self, invoke, server):
        assert invoke("recall", "").exit_code == 2

    def test_a_query_gives_the_most_relevant_first_of_all_times(self, invoke, client, memtrace_fake):
        for content in ("User drinks tea", "User lives in Lisbon", "User reads at night"):
            client.remember("assistant", content)
            memtrace_fake.clock.advance(48 * 3600)
        result = invoke("recall", "assistant", "--query", "tea", "--limit", "1")
        assert [row[-1] for row in table(result)[1:]] == ["tea"]
        assert result.stderr == ""
        found = json.loads(invoke("recall", "assistant", "--query", "tea", "--since", "2999-01-01", "--json").stdout)
        assert found["count"] == 0

    def test_a_query_says_where_more_was_found(self, invoke, client):
        for number in range(3):
            client.remember("assistant", f"tea {number}")
        result = invoke("recall", "assistant", "--query", "tea", "--limit", "2")
        assert "these are the most relevant 2; for more: --limit N" in result.stderr

    def test_a_content_in_a_pipe_is_one_line_and_obeyed_by_no_terminal(self, invoke, client):
        client.remember("assistant", "one\n" + "word " * 100 + "\x1b[31m")
        assert len(invoke("recall", "assistant").stdout.splitlines()) == 2
        assert "\x1b" not in invoke("recall", "assistant").stdout

    def test_columns_is_how_wide_a_table_is(self, invoke, client, environment):
        client.remember("assistant", "word " * 100)
        environment.setenv("COLUMNS", "80")
        lines = invoke("recall", "assistant").stdout.splitlines()
        assert len(lines) > 4
        assert max(map(len, lines)) <= 80


def contents(result):
    """What the hits of ``--json`` are about."""
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["count"] == len(found["hits"])
    return [hit["memory"]["content"] for hit in found["hits"]]


class TestSearch:
    @pytest.fixture
    def stored(self, client, memtrace_fake):
        for agent, content in [("a", "User drinks tea"), ("b", "User drinks coffee"), ("a", "User lives in Lisbon")]:
            client.remember(agent, content)
            memtrace_fake.clock.advance(3600)

    def test_the_most_relevant_comes_first_with_its_score(self, invoke, stored):
        header, *rows = table(invoke("search", "where does the user live: in Lisbon?", "--limit", "2"))
        assert header == ["score", "occurred", "agent", "type", "event", "tags", "content"]
        assert rows[0][3:] == ["a", "episodic", "general", "User", "lives", "in", "Lisbon"]
        scores = [float(row[0]) for row in rows]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 2

    def test_json_has_what_the_sdk_gives(self, invoke, client, stored):
        hits = client.memories.search("tea")
        found = json.loads(invoke("search", "tea", "--json").stdout)["hits"]
        assert [(hit["score"], hit["count"]) for hit in found] == [(hit.score, hit.count) for hit in hits]
        assert [json.dumps(hit["memory"]) for hit in found] == [
            json.dumps(hit.memory.model_dump(mode="json", exclude_unset=True)) for hit in hits
        ]

    @pytest.mark.parametrize(
        ("option", "found"),
        [
            (("--agent", "b"), "coffee"),
            (("--session", "s"), "water"),
            (("--type", "decision"), "wine"),
            (("--event-type", "seen", "--event-type", "heard"), "water"),
            (("--tag", "ui"), "water"),
            (("--tag", "u"), ""),
            (("--tag", "u", "--tags-match", "substring"), "water"),
            (("--min-importance", "0.5"), "wine"),
            (("--since", "1h"), "wine water"),
            (("--until", "150m"), "tea"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_every_option_reaches_the_search(
        self, invoke, client, stored, at_once, environment, memtrace_fake, option, found
    ):
        environment.setattr("memtrace._runtime.config.SystemClock", lambda: memtrace_fake.clock)
        client.memories.add(agent_id="c", content="wine it is", memory_type="decision", importance=0.9)
        client.memories.add(agent_id="c", content="no water", session_id="s", event_type="seen", tags=["ui"])
        query = "tea or coffee or wine or water"
        assert {
            word for content in contents(invoke("search", query, *option, "--json")) for word in content.split()
        } & {*query.split()} == {*found.split()}

    def test_repeats_are_one_row_with_their_number(self, invoke, client):
        for key in "xyz":
            client.memories.add(agent_id="a", content="User drinks tea", dedup_key=key)
        (row,) = table(invoke("search", "tea"))[1:]
        assert row[-2:] == ["(3", "times)"]

    @pytest.mark.parametrize("query", ["", " ", "\t\n"])
    @pytest.mark.parametrize("command", [("search",), ("recall", "a", "--query"), ("context", "--query")], ids=" ".join)
    def test_a_blank_query_is_refused_before_anything_is_sent(self, invoke, server, memtrace_fake, command, query):
        result = invoke(*command, query)
        assert (result.exit_code, result.stdout, len(memtrace_fake.calls)) == (2, "", 0)
        empty = query == "" and command[-1] == "--query"
        assert ("'--query': it is empty" if empty else "QUERY must be a string that is not blank") in result.stderr

    @pytest.mark.parametrize("query", ['"', "*", "NEAR(", "tea -", "content:", "the", "\U0001f600", "x" * 100_000])
    def test_no_query_is_an_expression(self, invoke, stored, query):
        assert invoke("search", "--json", "--", query).exit_code == 0

    def test_where_nothing_is_found_stderr_says_so(self, invoke, server):
        result = invoke("search", "tea")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "memtrace-sdk: nothing was found\n")

    def test_an_index_in_a_file_reads_only_what_is_newer(self, invoke, stored, client, memtrace_fake, tmp_path):
        command = ("search", "tea", "--search-index", str(tmp_path / "index"), "--json")
        assert contents(invoke(*command)) == ["User drinks tea"]
        assert (tmp_path / "index").stat().st_mode & 0o777 == 0o600
        memtrace_fake.clock.advance(60)
        client.remember("c", "more tea")
        memtrace_fake.clock.advance(60)
        first = len(memtrace_fake.calls)
        assert "more tea" in contents(invoke(*command))
        (call,) = memtrace_fake.calls[first:]
        assert (call.operation, "since" in call.query) == ("memories.list", True)

    def test_an_index_file_that_cannot_be_made_names_the_option(self, invoke, server, tmp_path):
        (tmp_path / "file").write_text("")
        result = invoke("search", "tea", "--search-index", str(tmp_path / "file" / "index"))
        assert (result.exit_code, "from --search-index" in result.stderr) == (2, True)
        assert "it is empty" in invoke("search", "tea", "--search-index", "").output

    @pytest.mark.slow
    def test_on_a_terminal_it_is_shown_how_many_memories_are_read(self, client, memtrace_fake):
        memtrace_fake.seed("acme", [{"agent_id": "a", "content": f"tea {n}", "age_s": n} for n in range(2100)])
        seen = on_a_terminal("search", "tea", "--agent", "a", "--limit", "1", stderr=True)
        assert b"Reading into the search index" in seen
        assert b"2,100 memories" in seen
        assert b"tea " in seen.replace(b"\r", b"").split(b"content")[-1]

    @pytest.mark.slow
    def test_on_a_terminal_a_wrong_argument_is_told_before_anything_is_read(self, server, memtrace_fake):
        assert b"--limit must be" in on_a_terminal("search", "tea", "--limit", "0", stderr=True, status=2)
        assert len(memtrace_fake.calls) == 0


class TestFilter:
    @pytest.mark.memtrace(strict=False)  # which refuses to find gui where ui is asked for
    def test_every_option_reaches_the_query(self, invoke, client, memtrace_fake):
        client.memories.add(
            agent_id="a", session_id="s", event_type="e", content="dark mode", tags=["ui"], importance=0.9
        )
        client.memories.add(
            agent_id="a", session_id="s", event_type="e", content="dark mode too", tags=["gui"], importance=0.9
        )
        options = [
            "--agent",
            "a",
            "--session",
            "s",
            "--type",
            "episodic",
            "--event-type",
            "e",
            "--tag",
            "ui",
            "--since",
            "2020-01-01",
        ]
        memtrace_fake.clock.advance(1)
        found = json.loads(
            invoke(
                "filter", "dark", *options, "--tags-match", "substring", "--min-importance", "0.5", "--order", "asc",
                "--json",
            ).stdout
        )  # fmt: skip
        assert [row["content"] for row in found["results"]] == ["dark mode", "dark mode too"]
        exact = json.loads(invoke("filter", *options, "--until", "2999-01-01", "--json").stdout)
        assert [row["content"] for row in exact["results"]] == ["dark mode"]

    def test_a_full_answer_says_that_there_may_be_more(self, invoke, client):
        client.remember("assistant", "dark mode")
        result = invoke("filter", "dark", "--limit", "1")
        assert len(table(result)) == 2
        assert "there may be more: --limit N" in result.stderr

    def test_less_than_asked_for_is_all(self, invoke, client):
        client.remember("assistant", "dark mode")
        assert invoke("filter", "dark").stderr == ""

    def test_a_limit_that_the_server_would_replace_is_refused(self, invoke, server):
        assert invoke("filter", "--limit", "0").exit_code == 2


class TestContext:
    def test_the_servers_markdown_comes_as_it_is(self, invoke, client):
        agent = client.agents.register(name="assistant")
        session = client.sessions.create(agent_id=agent.id)
        client.memories.add(agent_id=agent.id, session_id=session.id, content="likes tea", memory_type="decision")
        client.memories.add(agent_id=agent.id, session_id=session.id, content="was seen")
        written = client.sessions.context(session.id).context
        assert invoke("context", session.id).stdout == written
        assert json.loads(invoke("context", session.id, "--json").stdout)["context"] == written
        assert "was seen" not in invoke("context", session.id, "--type", "decision").stdout

    @pytest.mark.slow
    def test_a_terminal_obeys_nothing_in_it(self, client):
        client.memories.add(agent_id="a", session_id="sess_1", content="a \x1b[31mred one")
        terminal = on_a_terminal("context", "sess_1")
        assert b"a \\x1b[31mred one\r\n" in terminal
        assert b"\x1b" not in terminal

    def test_a_since_that_would_silently_be_another_is_refused(self, invoke, server):
        assert invoke("context", "sess_1", "--since", "2026-01-01").exit_code == 2


class TestContextForAPrompt:
    @pytest.fixture
    def session(self, client):
        for n in range(3):
            client.memories.add(
                agent_id="assistant", session_id="sess_1", content=f"{n} {'long ' * 40}", event_type="observation"
            )
        client.memories.add(
            agent_id="assistant", session_id="sess_1", content="Use tea", memory_type="decision", importance=1
        )
        return "sess_1"

    def test_it_is_what_the_sdk_writes_with_each_memory_whole(self, invoke, client, session):
        made = client.sessions.prompt_context(session)
        result = invoke("context", session, "--prompt")
        assert (result.exit_code, result.stdout.rstrip("\n"), result.stderr) == (0, made.text.rstrip("\n"), "")
        assert result.stdout.count("long " * 40) == 3

    def test_types_and_the_look_back_choose(self, invoke, session):
        result = invoke("context", session, "--prompt", "--type", "decision", "--since", "2025-12-31")
        assert "Use tea" in result.stdout
        assert "long" not in result.stdout

    def test_a_budget_is_kept_and_what_is_left_out_is_told(self, invoke, client, session):
        made = client.sessions.prompt_context(session, max_tokens=200, format="xml")
        result = invoke("context", session, "--prompt", "--max-tokens", "200", "--format", "xml")
        assert result.stdout.rstrip("\n") == made.text.rstrip("\n")
        assert made.omitted > 0
        assert f"{made.omitted} more did not fit: --max-tokens N" in result.stderr

    def test_a_budget_that_holds_no_memory_is_told(self, invoke, session):
        result = invoke("context", session, "--prompt", "--max-tokens", "1")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "no memory fits: raise --max-tokens" in result.stderr

    def test_messages_are_json(self, invoke, client, session):
        made = client.sessions.prompt_context(session, format="messages")
        assert json.loads(invoke("context", session, "--prompt", "--format", "messages").stdout) == made.messages

    def test_of_an_unknown_session_there_is_nothing(self, invoke, server):
        result = invoke("context", "sess_2", "--prompt")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "nothing was found" in result.stderr
        assert json.loads(invoke("context", "sess_2", "--prompt", "--format", "messages").stdout) == []

    def test_explain_is_a_table_of_verdicts(self, invoke, client, session):
        made = client.sessions.prompt_context(session, max_tokens=120, explain=True)
        assert {verdict.included for verdict in made.verdicts} >= {True}
        result = invoke("context", session, "--prompt", "--max-tokens", "120", "--explain")
        rows = [line.split() for line in result.stdout.splitlines()]
        assert rows[0][:3] == ["in", "reason", "score"]
        told = [("yes" if each.included else "no", each.reason) for each in made.verdicts]
        assert [(row[0], row[1]) for row in rows[1 : 1 + len(told)]] == told
        assert f"of {len(told)} memories are in the prompt" in result.stderr
        in_json = json.loads(invoke("context", session, "--prompt", "--explain", "--json").stdout)["verdicts"]
        assert len(in_json) == len(told)

    def test_explain_of_a_query_has_scores(self, invoke, client, session):
        result = invoke("context", session, "--query", "tea", "--explain")
        assert result.stdout.splitlines()[1].split()[1] == "score"
        nothing = invoke("context", session, "--type", "entity", "--query", "zzz", "--explain")
        assert (nothing.stdout, nothing.stderr) == ("", "memtrace-sdk: nothing was found\n")

    def test_explain_is_for_what_the_console_renders(self, invoke):
        result = invoke("context", "sess_1", "--explain")
        assert result.exit_code == 2
        assert "--explain goes with --prompt or --query" in result.stderr

    def test_json_has_the_context_and_its_memories(self, invoke, client, session):
        made = client.sessions.prompt_context(session)
        told = json.loads(invoke("context", session, "--prompt", "--json").stdout)
        assert told["text"] == made.text
        assert told["messages"] == made.messages
        assert [told[name] for name in ("tokens", "omitted", "revision")] == [made.tokens, 0, made.revision]
        assert [memory["content"] for memory in told["memories"]] == [memory.content for memory in made.memories]

    @pytest.mark.parametrize("option", [("--max-tokens", "100"), ("--format", "xml")])
    def test_a_setting_of_prompt_without_it_is_refused(self, invoke, option):
        result = invoke("context", "sess_1", *option)
        assert result.exit_code == 2
        assert f"{option[0]} goes with --prompt" in result.stderr


class TestContextForAQuery:
    @pytest.fixture(autouse=True)
    def _stored(self, client, memtrace_fake):
        for agent, content in [("a", "User drinks tea"), ("b", "User drinks tea too"), ("a", "User lives in Lisbon")]:
            client.memories.add(agent_id=agent, session_id=f"sess_{agent}", content=content)
            memtrace_fake.clock.advance(3600)

    @pytest.mark.parametrize(
        ("option", "owner"), [((), {}), (("--agent", "b"), {"agent_id": "b"}), (("sess_a",), {"session_id": "sess_a"})]
    )
    def test_it_is_what_the_sdk_writes(self, invoke, client, option, owner):
        made = client.memories.prompt_context("what about tea?", **owner)
        result = invoke("context", *option, "--query", "what about tea?")
        assert (result.exit_code, result.stdout.rstrip("\n")) == (0, made.text.rstrip("\n"))
        assert "drinks tea" in result.stdout

    def test_a_budget_is_kept_in_the_format_asked_for(self, invoke, client):
        made = client.memories.prompt_context("tea", max_tokens=90, format="xml")
        result = invoke("context", "--query", "tea", "--max-tokens", "90", "--format", "xml")
        assert result.stdout.rstrip("\n") == made.text.rstrip("\n")
        assert 0 < made.tokens <= 90
        assert f"{made.omitted} more did not fit" in result.stderr

    def test_an_agents_memories_need_no_query(self, invoke, client):
        made = client.memories.prompt_context(agent_id="a", max_tokens=None)
        assert invoke("context", "--agent", "a", "--prompt").stdout.rstrip("\n") == made.text.rstrip("\n")

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ([], "SESSION is missing"),
            (["sess_a", "--agent", "a"], "--agent goes with --prompt or --query"),
            (["--prompt"], "--prompt needs a SESSION or --agent"),
            (["sess_a", "--search-index", "x"], "--search-index goes with --prompt or --query"),
            (["", "--query", "tea"], "it is empty"),
            (["--agent", "", "--query", "tea"], "it is empty"),
        ],
    )
    def test_what_names_nobody_is_refused(self, invoke, memtrace_fake, arguments, told):
        result = invoke("context", *arguments)
        assert (result.exit_code, len(memtrace_fake.calls), told in result.output) == (2, 3, True), result.output


class TestRegistry:
    def test_agents(self, invoke, client):
        empty = invoke("agents")
        assert (empty.exit_code, empty.stdout) == (0, "")
        agent = client.agents.register(name="assistant", description="helps")
        (header, row) = table(invoke("agents"))
        assert (header, row[0], row[-1]) == (["name", "created", "description"], "assistant", "helps")
        (header, row) = table(invoke("agents", "--ids"))
        assert (header, row[:2]) == (["id", "name", "created", "description"], [agent.id, "assistant"])
        assert json.loads(invoke("agents", agent.id, "--json").stdout)["agents"][0]["id"] == agent.id
        assert table(invoke("agents", "assistant", "--ids"))[1][0] == agent.id

    def test_an_unknown_agent_is_status_3(self, invoke, server):
        result = invoke("agents", "nobody")
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr == "memtrace-sdk: no agent is registered as nobody\n"

    def test_an_agent_is_found_by_a_name_that_no_path_has_and_a_near_one_is_named(self, invoke, client):
        agent = client.agents.register(name="Support bot / EU")
        assert table(invoke("agents", "Support bot / EU", "--ids"))[1][0] == agent.id
        result = invoke("agents", "support bot EU")
        assert (result.exit_code, result.stderr) == (
            3,
            "memtrace-sdk: no agent is registered as support bot EU; did you mean Support bot / EU?\n",
        )

    @pytest.mark.parametrize("json", [(), ("--json",)], ids=["text", "json"])
    @pytest.mark.parametrize("command", READS_OF_AN_AGENT, ids=" ".join)
    def test_an_unknown_agent_is_an_error_of_every_command_that_reads(self, invoke, client, tmp_path, command, json):
        client.remember("assistant", "User likes tea")
        given = [word.format(agent="asistant", folder=tmp_path) for word in command]
        result = invoke(*given, *json)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr.startswith("memtrace-sdk: ")
        assert result.stderr.endswith("did you mean assistant?\n") or command[0] == "agents"
        assert [*tmp_path.glob("*.jsonl*"), *tmp_path.glob("*.html*")] == []

    @pytest.mark.parametrize("command", READS_OF_AN_AGENT, ids=" ".join)
    def test_a_known_agent_without_anything_that_matches_is_no_error(self, invoke, client, tmp_path, command):
        agent = client.agents.register(name="assistant").id
        given = [word.format(agent=agent, folder=tmp_path) for word in command]
        assert invoke(*given).exit_code == 0
        assert invoke(*given, *(("--force", "--json") if command[0] == "export" else ("--json",))).exit_code == 0

    def test_every_command_with_an_agent_is_one_that_reads_writes_or_follows(self):
        from typer.main import get_command

        from memtrace._cli.app import app

        named = {
            name
            for name, command in get_command(app).commands.items()
            for parameter in command.params
            if parameter.name in ("agent", "agent_option")
        }
        others = {"remember", "decide", "import", "mcp", "tail"}
        assert named == {command[0] for command in READS_OF_AN_AGENT} | others

    def test_stats_shows_the_known_agents_beside_the_unknown_ones(self, invoke, client):
        client.remember("assistant", "User likes tea")
        result = invoke("stats", "asistant", "assistant", "nobody")
        assert (result.exit_code, [line.split()[0] for line in result.stdout.splitlines()]) == (
            3,
            ["agent", "assistant"],
        )
        assert [line.split(" is unknown")[0] for line in result.stderr.splitlines()] == [
            "memtrace-sdk: the agent asistant",
            "the agent nobody",
        ]
        as_json = invoke("stats", "asistant", "assistant", "--json")
        assert (as_json.exit_code, [each["agent_id"] for each in json.loads(as_json.stdout)["stats"]]) == (
            3,
            ["assistant"],
        )

    def test_a_known_agent_without_anything_like_it_is_not_unknown(self, invoke, client):
        client.remember("assistant", "User likes tea")
        for command in (("search", "coffee"), ("filter", "coffee")):
            assert invoke(*command, "--agent", "assistant").stderr == "memtrace-sdk: nothing was found\n"

    def test_sessions(self, invoke, client):
        assert "no session" in invoke("sessions").stderr
        first, second = (client.agents.register(name=name) for name in ("a", "b"))
        one, two = (client.sessions.create(agent_id=agent.id) for agent in (first, second))
        client.sessions.close(one.id)
        assert {(row[0], row[1]) for row in table(invoke("sessions"))[1:]} == {(one.id, "a"), (two.id, "b")}
        assert {row[1] for row in table(invoke("sessions", "--ids"))[1:]} == {first.id, second.id}
        assert json.loads(invoke("sessions", "--agent", second.id, "--json").stdout)["sessions"][0]["id"] == two.id
        assert table(invoke("sessions", one.id))[1][2] == "closed"
        assert invoke("sessions", one.id, "--agent", first.id).exit_code == 2

    def test_stats(self, invoke, client):
        assert "name the id" in invoke("stats").stderr
        agent = client.agents.register(name="a")
        client.remember(agent.id, "one")
        client.decide("importer", "two", "why")
        assert [row[:2] for row in table(invoke("stats"))[1:]] == [["a", "1"]]
        assert [row[:2] for row in table(invoke("stats", agent.id, "importer"))[1:]] == [["a", "1"], ["importer", "1"]]
        assert [row[:2] for row in table(invoke("stats", "--ids"))[1:]] == [[agent.id, "1"]]
        found = json.loads(invoke("stats", agent.id, "importer", "--json").stdout)
        assert [(row["agent_id"], row["memory_count"]) for row in found["stats"]] == [(agent.id, 1), ("importer", 1)]


@pytest.fixture
def agent_id(client):
    """A registered agent, with a memory and one beside it of an agent that is not registered."""
    agent = client.agents.register(name="Support bot")
    client.remember(agent.id, "the export is late")
    client.remember("importer", "the export is done")
    return agent.id


class TestNames:
    ASKED = pytest.mark.parametrize("command", [("recall", ...), ("search", "export"), ("filter", "export")])

    @ASKED
    def test_a_registered_agent_is_shown_by_its_name_and_by_its_id_on_ids(self, invoke, agent_id, command):
        command = [agent_id if word is ... else word for word in command]
        named, with_ids = (invoke(*command, *ids).stdout for ids in ((), ("--ids",)))
        assert ("Support bot" in named, agent_id in named) == (True, False)
        assert ("Support bot" in with_ids, agent_id in with_ids) == (False, True)
        assert ("importer" in named) == (command[0] != "recall")

    @ASKED
    def test_json_has_ids_and_asks_for_no_names(self, invoke, agent_id, memtrace_fake, command):
        memtrace_fake.calls.clear()
        found = invoke(*(agent_id if word is ... else word for word in command), "--json").stdout
        assert agent_id in found
        memtrace_fake.calls.assert_not_called("agents.list")

    def test_agents_that_chose_their_id_are_not_asked_for(self, invoke, client, memtrace_fake):
        client.remember("importer", "the export is done")
        memtrace_fake.calls.clear()
        assert "importer" in invoke("filter").stdout
        memtrace_fake.calls.assert_not_called("agents.list")

    def test_an_id_whose_name_nobody_knows_stands_for_itself(self, invoke, client):
        unknown = "agent_0123456789abcdef01234567"
        client.remember(unknown, "the export is done")
        assert unknown in invoke("filter").stdout

    def test_names_that_cannot_be_read_cost_no_table(self, invoke, agent_id, memtrace_fake):
        memtrace_fake.faults.add(Fault("status", on="agents.list", status=500, times=None))
        result = invoke("filter", "export")
        assert (result.exit_code, result.stderr, agent_id in result.stdout) == (0, "", True)

    def test_a_tail_asks_for_each_name_once(self, client, agent_id, memtrace_fake):
        names = AgentNames(client)
        for _ in range(3):
            assert names.of([agent_id, "importer"])[agent_id] == "Support bot"
        memtrace_fake.calls.assert_called("agents.list", times=1)

    def test_a_name_that_is_another_agents_id_is_not_shown_for_it(self, invoke, client):
        registered = client.agents.register(name="namesake")
        client.remember(registered.id, "export by the registered agent")
        client.remember("namesake", "export by another agent")
        shown = invoke("filter", "export by").stdout
        assert (registered.id in shown, shown.count("namesake")) == (True, 1)


COMMANDS = (
    ["remember", "a", "secret"], ["decide", "a", "secret", "why"], ["recall", "a"], ["recall", "a", "--query", "q"], ["search", "q"], ["filter"], ["context", "s"],
    ["context", "--query", "q"], ["agents"], ["sessions"], ["stats", "a"],
    ["tail"], ["export", "-"], ["export", "out.jsonl"], ["import", "-"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
class TestEveryCommand:
    def test_a_wrong_key_is_status_5_and_not_shown(self, invoke, server, environment, tmp_path, arguments):
        environment.chdir(tmp_path)
        environment.setenv("MEMTRACE_API_KEY", "mtk_wrong")
        result = invoke(*arguments, stdin="{}")
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (5, "", 1)
        assert "mtk_wrong" not in result.output

    def test_without_a_server_it_says_what_to_set(self, invoke, tmp_path, environment, arguments):
        environment.chdir(tmp_path)
        result = invoke(*arguments)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert "the base URL is missing: set MEMTRACE_BASE_URL=sqlite:///agent.db for a file" in result.stderr

    def test_a_key_on_the_command_line_is_refused_and_not_repeated(self, invoke, arguments):
        result = invoke(*arguments, "--api-key=mtk_secret")
        assert result.exit_code == 2
        assert "mtk_secret" not in result.output

    def test_its_help_has_examples(self, invoke, arguments):
        assert f"Examples:\n    memtrace-sdk {arguments[0]}" in invoke(arguments[0], "--help").output


def test_a_wrong_timeout_names_its_option(invoke, server):
    result = invoke("recall", "a", "--timeout", "-1")
    assert (
        result.exit_code,
        "(from --timeout; docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/configuration.md)"
        in result.stderr,
    ) == (2, True)
    assert "the timeout must be a number of seconds above 0" in result.stderr


def test_an_address_without_a_key_is_not_enough(invoke):
    result = invoke("remember", "a", "b", "--base-url", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "the API key is missing: set MEMTRACE_API_KEY" in result.stderr


def test_a_base_url_that_is_none_is_told_with_what_to_write(invoke):
    result = invoke("recall", "a", "--base-url", "cli.db")
    assert result.exit_code == 2
    assert "the base URL is not a valid address" in result.stderr
    assert "sqlite:///agent.db for a file" in result.stderr


def test_the_memory_transport_with_a_key_works_and_is_told_to_forget(invoke, environment):
    environment.setenv("MEMTRACE_API_KEY", KEY)
    result = invoke("remember", "a", "b", "--base-url", "memory://", "--timeout", "3", "--transport", "memory")
    assert result.exit_code == 0
    assert "all that it holds goes when this command ends" in result.stderr
