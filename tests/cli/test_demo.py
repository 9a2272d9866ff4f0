"""What the demo prints, in a pipe and as if on a terminal."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import locomo, turn


def test_the_walk_through_shows_every_call_and_what_came_back(invoke):
    result = invoke("demo")
    assert result.exit_code == 0
    for expected in (
        "client.agents.get_or_register",
        "client.sessions.open",
        "session.remember",
        "session.decide",
        "reasoning: the user prefers it",
        "event: observation",
        "tags: ui",
        "### Recent Actions (2)",
        "### Decisions Made (1)",
        "client.memories.search",
        "client.memories.recall",
        "3 memories (1 decision, 2 episodic), 1 session",
    ):
        assert expected in result.output


def test_in_a_pipe_there_are_no_codes_no_trailing_spaces_and_no_lines_over_100_columns(invoke):
    output = invoke("demo").output + invoke("demo", "--conversation", "sample").output
    assert "\x1b" not in output
    lines = [line for line in output.splitlines() if not line.startswith("- [")]  # the server's own stay whole
    assert max(map(len, lines)) <= 100
    assert all(line == line.rstrip() for line in lines)


def test_columns_sets_the_width(invoke, environment):
    environment.setenv("COLUMNS", "60")
    lines = invoke("demo").output.splitlines()
    assert max(map(len, lines)) <= 60


def test_colour_can_be_asked_for_and_refused(invoke, environment):
    environment.setenv("FORCE_COLOR", "1")
    environment.setenv("TERM", "xterm-256color")
    assert "\x1b[" in invoke("demo").output
    environment.setenv("NO_COLOR", "1")
    assert "\x1b" not in invoke("demo").output


def test_the_environment_of_a_real_client_does_not_disturb_the_demo(invoke, environment):
    environment.setenv("MEMTRACE_TRANSPORT", "nonsense")
    environment.setenv("MEMTRACE_TIMEOUT", "nonsense")
    assert invoke("demo").exit_code == 0


def test_the_sample_is_loaded_searched_and_summed_up(invoke):
    result = invoke("demo", "--conversation", "sample")
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    for counted in (
        ["turns", "read", "24"],
        ["stored", "24"],
        ["duplicates", "0"],
        ["agents", "2"],
        ["sessions", "3"],
    ):
        assert counted in lines
    output = " ".join(result.output.split())
    assert "Search when does the train leave on Friday? score conversation session speaker text" in output
    assert re.search(r"text \d+\.\d\d 1 1 Otto There is a direct train at 14:05 on Friday", output)
    assert re.search(
        r"text \d+\.\d\d 1 2 Otto I found two places. The guesthouse in the old mill is 15 minutes", output
    )
    assert re.search(r"text \d+\.\d\d 1 1 Ines Yes, please. .* Marta is coming along and she doesn't eat fish", output)
    told = re.search(r"Prompt for 'when does the train leave on Friday\?': (\d+) memories, (\d+) of 400 tokens", output)
    assert int(told[1]) > 5
    assert 360 <= int(told[2]) <= 400
    assert '09:01 speaker="Otto" There is a direct train at 14:05 on Friday' in output.partition("Prompt")[2]


def test_questions_of_your_own_are_asked_within_your_budget(invoke):
    result = invoke("demo", "--conversation", "sample", "--ask", "gloves?", "--ask", "84 euros", "--max-tokens", "120")
    output = " ".join(result.output.split())
    assert re.search(
        r"Search gloves\? .* Otto Gloves: it is two degrees .* Search 84 euros .* 84 euros a night", output
    )
    assert re.search(r"Prompt for 'gloves\?': \d+ memor\w+, \d+ of 120 tokens", output)
    assert "direct train" not in output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--ask", "gloves?"), "--ask goes with --conversation"),
        (("--max-tokens", "9"), "--max-tokens goes with --conversation"),
        (("--conversation", "sample", "--ask", " "), "it is blank"),
    ],
)
def test_questions_that_make_no_sense_are_refused(invoke, arguments, told):
    result = invoke("demo", *arguments)
    assert (result.exit_code, told in result.output) == (2, True)


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-03-02T09:00:00Z", "2026-03-02"),
        ("2019-01-31T23:30:00+02:00", "2019-01-31"),
        ("one morning", None),
        ("2026-03-02T09:00:00", None),
    ],
)
def test_a_turn_occurred_when_the_file_says_where_that_is_a_point_in_time(invoke, time, day):
    output = invoke("demo", "--conversation", "-", stdin=turn(time=time)).output
    assert (f"\n{day} " in output) == (day is not None)


def test_a_turn_that_says_itself_when_it_occurred_keeps_that(invoke):
    output = invoke("demo", "--conversation", "-", stdin=turn(occurred_at="2001-02-03T04:05:06Z")).output
    assert "\n2001-02-03 " in output


def test_a_conversation_of_blanks_alone_has_nothing_to_ask(invoke):
    result = invoke("demo", "--conversation", "-", stdin=turn(text=" "))
    assert (result.exit_code, "no turns to search" in result.output) == (0, True)


def test_a_file_named_sample_is_reached_by_its_path(invoke, tmp_path, environment):
    environment.chdir(tmp_path)
    (tmp_path / "sample").write_bytes(turn())
    assert "turns read  1\n" in invoke("demo", "--conversation", "./sample").output


def test_standard_input_is_read(invoke):
    result = invoke("demo", "--conversation", "-", stdin=turn() + turn(id="1:2"))
    assert result.exit_code == 0
    assert "Loaded  standard input\nturns read  2\n" in result.output


def test_no_turns_at_all_are_told_without_a_search(invoke):
    result = invoke("demo", "--conversation", "-", stdin=b"")
    assert result.exit_code == 0
    assert "turns read  0" in result.output
    assert "no turns to search" in result.output


def test_a_process_without_standard_input_has_no_turns(environment, capsys):
    from memtrace._cli.demo import run_conversation

    environment.setattr(sys, "stdin", None)
    assert run_conversation("-") == 0
    assert "turns read  0" in capsys.readouterr().out


def test_what_a_terminal_would_obey_is_shown_instead(invoke):
    text = "\x1b[31mred\x07 :smile: [bold]plain[/bold]\nnext \u202eline"
    output = invoke("demo", "--conversation", "-", stdin=turn(speaker="\x1b]0;Ines", text=text)).output
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert r"\x1b[31mred\x07 :smile: [bold]plain[/bold] next \u202eline" in " ".join(output.split())


def test_long_texts_are_wrapped_between_words_not_cut(invoke):
    text = " ".join(f"word{number}" for number in range(60))
    output = invoke("demo", "--conversation", "-", stdin=turn(text=text)).output
    assert " ".join(output.partition("Prompt")[0].split()).endswith(text)


@pytest.mark.parametrize("name", ["missing.jsonl", "\0", "."])
def test_a_file_that_cannot_be_opened_is_named(invoke, name):
    result = invoke("demo", "--conversation", name)
    assert result.exit_code == 2
    assert "cannot be read: " in result.output
    assert "Stored before that: 0 turns, 0 duplicates, 0 agents, 0 sessions" in result.output


def test_bad_input_names_file_line_and_field_on_stderr_and_counts_what_was_stored(invoke, tmp_path, environment):
    environment.chdir(tmp_path)
    lines = [turn(), turn(id="1:2", speaker="Otto"), turn(id="1:1"), b'{"conversation": 7}\n', turn(id="1:3")]
    (tmp_path / "chat.jsonl").write_bytes(b"".join(lines))
    result = invoke("demo", "--conversation", "chat.jsonl")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        'memtrace-sdk: chat.jsonl, line 4, field "session": is missing; '
        "each line needs conversation, session, time, speaker, id, text\n"
        "Stored before that: 2 turns, 1 duplicate, 2 agents, 1 session\n"
    )


@pytest.mark.slow
def test_a_pipe_of_another_encoding_gets_escapes_instead_of_an_error(execute, environment):
    environment.setenv("PYTHONIOENCODING", "ascii")
    result = execute("demo", "--conversation", "-", input=turn(text="caf\u00e9 \U0001f600").decode())
    assert result.returncode == 0
    assert r"caf\xe9 \U0001f600" in result.stdout


def counted(output):
    """The numbers of turns read, stored, duplicates, agents and sessions."""
    return [line.split()[-1] for line in output.splitlines()[1:6]]


@pytest.mark.slow
def test_the_real_conversations_are_stored_whole(invoke):
    result = invoke("demo", "--conversation", str(locomo()))
    assert (result.exit_code, result.stderr) == (0, "")
    assert counted(result.stdout) == ["5,882", "5,882", "0", "20", "272"]


@pytest.mark.slow
def test_a_process_stores_the_real_conversations_soon(execute):
    started = time.monotonic()
    result = execute("demo", "--conversation", str(locomo()))
    assert (result.returncode, result.stderr) == (0, "")
    assert counted(result.stdout) == ["5,882", "5,882", "0", "20", "272"]
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("kind", ["regular", "pipe"])
def test_the_size_of_a_file_is_known_and_that_of_a_pipe_is_not(kind, tmp_path):
    from memtrace._cli.demo import _opened

    path = tmp_path / "chat.jsonl"
    if kind == "regular":
        path.write_bytes(turn())
        with _opened(str(path)) as source:
            assert source.size == len(turn())
    else:
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no named pipes")
        os.mkfifo(path)
        writer = os.open(path, os.O_RDWR)
        with _opened(str(path)) as source:
            assert source.size is None
        os.close(writer)


def test_a_file_is_closed_when_reading_ends(tmp_path):
    from memtrace._cli.demo import _opened

    path = tmp_path / "chat.jsonl"
    path.write_bytes(turn())
    with _opened(str(path)) as source:
        assert isinstance(source.stream, io.BufferedReader)
    assert source.stream.closed


def test_the_walk_through_is_the_one_of_the_readme(invoke):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    calls = re.findall(
        r"(?:├──|└──|^)\s*((?:client|agent|with|session)\b[ .=].*\(.*)", invoke("demo").output, re.MULTILINE
    )
    assert len(calls) == 10
    for call in calls:
        assert call.strip() in readme, call


@pytest.mark.parametrize(
    ("store", "problem"),
    [("sqlite:///folder/", "names no file"), ("gopher://x", "the API key is missing"), ("sqlite:///.", "is a folder")],
)
@pytest.mark.parametrize("arguments", [(), ("--conversation", "sample")])
def test_a_store_that_cannot_be_used_is_told(invoke, store, problem, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("demo", "--store", store, *arguments)
    assert result.exit_code != 0
    assert problem in result.stderr
