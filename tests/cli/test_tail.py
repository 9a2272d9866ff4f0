"""tail: the newest memories, then those that come, each once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from rich.console import Console
from rich.text import Text

from memtrace import APIStatusError, MemtraceError, RetryPolicy
from memtrace._cli.tables import memory_line
from memtrace._cli.tail import Outage, follow
from memtrace.models import ListOptions
from memtrace_transports.memory import Fault, ManualClock

REFUSED = b'{"error":"invalid API key"}'


class Looks:
    """What `follow` gives, one look at a time."""

    def __init__(self, client, clock, *, lines=10, **wanted):
        self.looks = follow(client, ListOptions(**wanted), lines=lines, interval=1.0, clock=clock)

    def __call__(self):
        come = next(self.looks)
        return come if isinstance(come, Outage) else [memory.content for memory in come]


@pytest.fixture
def client(memtrace_fake):
    with memtrace_fake.client("acme", retry=RetryPolicy(max_attempts=1)) as client:
        yield client


@pytest.fixture
def look(client, memtrace_fake):
    return lambda **options: Looks(client, memtrace_fake.clock, **options)


def seed(fake, *rows):
    fake.seed("acme", [{"agent_id": "a", "content": content, "age_s": age} for content, age in rows])


class TestFollow:
    @pytest.mark.parametrize(
        ("lines", "shown"), [(0, []), (1, ["5"]), (3, ["3", "4", "5"]), (9, ["1", "2", "3", "4", "5"])]
    )
    def test_it_begins_with_the_newest_lines_oldest_first(self, look, memtrace_fake, lines, shown):
        seed(memtrace_fake, ("1", 60), ("2", 50), ("3", 40), ("4", 2), ("5", 1))
        assert look(lines=lines)() == shown

    def test_what_comes_is_shown_once(self, look, client, memtrace_fake):
        client.remember("a", "before")
        come = look()
        assert come() == ["before"]
        assert come() == []
        client.remember("a", "one")
        client.remember("a", "two")
        assert come() == ["one", "two"]
        assert come() == []
        memtrace_fake.clock.advance(600)
        client.remember("a", "three")
        assert [come(), come()] == [["three"], []]

    def test_it_begins_with_nothing_where_there_is_nothing(self, look, client):
        come = look()
        assert come() == []
        client.remember("a", "first")
        assert [come(), come()] == [["first"], []]

    def test_a_memory_that_appears_late_is_shown_late(self, look, memtrace_fake):
        seed(memtrace_fake, ("newer", 1))
        come = look()
        assert come() == ["newer"]
        seed(memtrace_fake, ("older", 5))
        assert [come(), come()] == [["older"], []]

    def test_equal_memories_are_as_many_as_there_are(self, look, memtrace_fake):
        seed(memtrace_fake, ("same", 5), ("same", 5))
        come = look()
        assert come() == ["same", "same"]
        seed(memtrace_fake, ("same", 5))
        assert [come(), come()] == [["same"], []]

    def test_filters_choose(self, look, client):
        come = look(agent_id="b")
        come()
        client.remember("a", "not this")
        client.remember("b", "this")
        assert come() == ["this"]

    def test_more_than_a_page_comes_whole(self, look, memtrace_fake):
        come = look()
        come()
        seed(memtrace_fake, *((str(number), 1) for number in range(2100)))
        assert len(come()) == 2100

    def test_an_outage_is_told_once_and_loses_nothing(self, look, client, memtrace_fake):
        client.remember("a", "before")
        come = look()
        come()
        memtrace_fake.faults.add(Fault("refused", on="memories.list", times=3))
        client.remember("a", "meanwhile")
        assert isinstance(come(), Outage)
        assert come() == ["meanwhile"]
        memtrace_fake.faults.add(Fault("refused", on="memories.list"))
        assert isinstance(come(), Outage)

    def test_what_no_repetition_mends_ends_it(self, look, client, memtrace_fake):
        come = look()
        come()
        memtrace_fake.faults.add(Fault("status", status=418, on="memories.list"))
        with pytest.raises(APIStatusError):
            come()

    def test_the_first_look_raises(self, look, memtrace_fake):
        memtrace_fake.faults.add(Fault("refused", on="memories.list"))
        with pytest.raises(MemtraceError):
            look()()


@pytest.fixture
def start(server):
    running = []

    def run(*arguments):
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import memtrace._cli as c; c.main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "tail", "--interval", "0.1", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def run(invoke, server, at_once, environment):
    """Run the command in this process, where it does not wait, until an error ends it."""
    environment.setattr("memtrace.clock.SystemClock", ManualClock)
    return lambda *arguments: invoke("tail", *arguments)


def test_a_line_is_on_one_line_with_its_tags(client):
    memory = client.memories.add(agent_id="a", content="two\nlines", tags=["ui", "x"])
    assert memory_line(memory).plain == f"{memory.time:%Y-%m-%d %H:%M:%SZ} a episodic general [ui,x] two lines"


@pytest.mark.network
class TestTheProgram:
    @pytest.mark.slow
    def test_json_lines_come_at_once_and_ctrl_c_ends_it(self, start, client):
        client.remember("a", "before")
        process = start("--json")
        assert json.loads(process.stdout.readline())["content"] == "before"
        client.remember("a", "one\ntwo")
        assert json.loads(process.stdout.readline())["content"] == "one\ntwo"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "memtrace-sdk: interrupted\n")
        assert process.returncode == 130

    @pytest.mark.parametrize("arguments", [("a",), ("--agent", "a")])
    def test_people_see_a_line_for_each_memory_of_the_agent(self, run, client, memtrace_fake, arguments):
        client.memories.add(agent_id="b", content="not this")
        client.memories.add(agent_id="a", content="two\nlines " + "long " * 50, tags=["ui"])
        memtrace_fake.faults.add(Fault("status", status=401, body=REFUSED, on="memories.list", nth=4))
        (line,) = run(*arguments).stdout.splitlines()
        assert line.endswith(" a episodic general [ui] two lines" + " long" * 50)

    def test_a_terminal_says_once_what_was_asked_for(self, run, client, memtrace_fake, environment):
        environment.setattr(
            "memtrace._cli.commands.memories.make_console", lambda: Console(force_terminal=True, width=80)
        )
        client.memories.add(agent_id="a", content="word " * 30)
        memtrace_fake.faults.add(Fault("status", status=401, body=REFUSED, on="memories.list", nth=4))
        shared, first, *more = Text.from_ansi(run("--agent", "a", "--type", "episodic").stdout).plain.splitlines()
        assert shared.rstrip() == "agent a  type episodic"
        assert first.rstrip().endswith("Z  general " + "word " * 9 + "word")
        assert len(more) == 2

    def test_a_terminal_shows_a_line_each_where_nothing_was_asked_for(self, run, client, memtrace_fake, environment):
        environment.setattr(
            "memtrace._cli.commands.memories.make_console", lambda: Console(force_terminal=True, width=80)
        )
        client.memories.add(agent_id="a", content="one")
        memtrace_fake.faults.add(Fault("status", status=401, body=REFUSED, on="memories.list", nth=4))
        (line,) = Text.from_ansi(run().stdout).plain.splitlines()
        assert line.rstrip().endswith("Z  a  episodic  general one")

    @pytest.mark.memtrace(strict=False)  # which refuses to find gui where ui is asked for
    @pytest.mark.parametrize(("more", "seen"), [((), ["ui"]), (("--tags-match", "substring"), ["ui", "gui"])])
    def test_a_tag_is_a_whole_one_unless_parts_are_asked_for(self, run, client, memtrace_fake, more, seen):
        for tag in ("ui", "gui"):
            client.memories.add(agent_id="a", content=tag, tags=[tag])
        memtrace_fake.faults.add(Fault("status", status=401, body=REFUSED, on="memories.list", nth=4))
        result = run("--tag", "ui", *more, "--json")
        assert [json.loads(line)["content"] for line in result.stdout.splitlines()] == seen

    @pytest.mark.parametrize(("agent", "is_unknown"), [("bulider", True), ("builder", False), (None, False)])
    def test_an_unknown_agent_is_told_of_and_waited_for(self, run, client, memtrace_fake, agent, is_unknown):
        client.memories.add(agent_id="builder", content="not this")
        memtrace_fake.faults.add(Fault("status", status=401, body=REFUSED, on="memories.list", nth=6))
        result = run(*([agent] if agent else []), "--lines", "0", "--type", "decision")
        told = "the agent bulider is unknown: nobody has written to it, and it is not registered; did you mean builder?"
        assert (f"memtrace-sdk: {told}; waiting for its first memory\n" in result.stderr) == is_unknown
        assert (result.stdout, "is unknown" in result.stderr) == ("", is_unknown)

    def test_an_agent_is_named_once(self, invoke, memtrace_fake):
        result = invoke("tail", "a", "--agent", "b")
        assert (result.exit_code, result.stderr) == (2, "memtrace-sdk: AGENT and --agent say the same: leave one out\n")

    @pytest.mark.slow
    def test_a_reader_that_goes_ends_it(self, start, client):
        client.remember("a", "before")
        process = start()
        assert process.stdout.readline().endswith(" a episodic general before\n")
        process.stdout.close()
        client.remember("a", "more")
        assert process.wait(60) == 141
        assert process.stderr.read() == ""

    def test_an_outage_is_a_line_on_stderr_and_a_refusal_the_end(self, run, client, memtrace_fake):
        client.remember("a", "before")
        memtrace_fake.faults.add(
            Fault("status", status=503, on="memories.list", nth=4, times=3),
            Fault("status", status=401, body=REFUSED, on="memories.list", nth=9),
        )
        result = run("--json")
        assert result.exit_code == 5
        assert [json.loads(line)["content"] for line in result.stdout.splitlines()] == ["before"]
        outage, end = result.stderr.splitlines()
        assert "no response yet, still trying: " in outage
        assert "invalid API key" in end
