"""Tables in a pipe: every row is one whole line, and no width makes text vanish."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from memtrace._cli.row_layout import row_of
from memtrace._cli.tables import plain_table
from memtrace._cli.terminal import show_table

pytestmark = pytest.mark.network
LONG = "word " * 60
TOO_SMALL = [None, "0", "1", "5", "19", "-5", "nonsense", "99999"]


@pytest.fixture
def filled(client, environment, tmp_path):
    """Of everything that a table shows there are two, with texts that no line of 100 columns holds."""
    agents = [client.agents.register(name=f"{number} {LONG}", description=LONG) for number in range(2)]
    for number in range(2):
        client.memories.add(agent_id="bot", content=f"{number} {LONG}", tags=["t" * 64], event_type="e" * 64)
        client.sessions.create(agent_id=agents[0].id)
    (tmp_path / "config.toml").write_text(
        "".join(f'[profiles.p{n}]\nbase_url = "http://{"h" * 90}{n}"\napi_key_env = "{"K" * 80}"\n' for n in range(2))
    )
    environment.setenv("MEMTRACE_CONFIG", str(tmp_path / "config.toml"))


COMMANDS = {
    "recall": (["recall", "bot"], 3),
    "search": (["search", "word"], 3),
    "filter": (["filter"], 3),
    "agents": (["agents"], 3),
    "sessions": (["sessions"], 3),
    "stats": (["stats", "bot"], 2),
    "profiles": (["profiles", "list"], 3),
    "transports": (["transports"], None),
    "middleware": (["middleware"], None),
    "doctor": (["doctor"], None),
}


OF_TEXTS = ("recall", "search", "filter")
#: These say once what all rows share.
SHORTENED = ("sessions", "transports", "middleware")


def squeezed(text):
    return sorted("".join(text.split()))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", TOO_SMALL)
def test_each_row_is_one_line_where_no_width_is_asked_for(invoke, filled, environment, name, columns):
    command, count = COMMANDS[name]
    if columns is not None:
        environment.setenv("COLUMNS", columns)
    lines = invoke(*command).stdout.splitlines()
    if count is None:
        as_json = json.loads(invoke(*command, "--json").stdout)
        checks = as_json["checks"] if name == "doctor" else as_json
        count = len(checks) + 1 if name != "doctor" else len(checks) + sum(bool(check["advice"]) for check in checks)
    assert len(lines) == count
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", ["20", "25", "30", "60", "100"])
def test_no_width_makes_text_vanish(invoke, filled, environment, name, columns):
    command, _ = COMMANDS[name]
    whole = invoke(*command).stdout
    environment.setenv("COLUMNS", columns)
    narrow = invoke(*command).stdout
    if name == "agents":  # whose descriptions stand below them
        assert squeezed(narrow) in (squeezed(whole), squeezed("\n".join(whole.splitlines()[1:])))
        return
    if name in OF_TEXTS:  # which say once what all rows share
        text = "".join(narrow.split())
        assert all(part in text for part in ("word" * 60, "t" * 64, "e" * 64, "bot", "episodic"))
        assert text.count("word" * 60) == 2
        return
    if name in SHORTENED:
        environment.setenv("COLUMNS", "2000")
        wide = invoke(*command).stdout
        cells = [cell for line in whole.splitlines()[1:] for cell in re.split(r"\s{2,}", line)]
        assert [cell for cell in cells if cell not in wide] == []
        assert squeezed(narrow) in (squeezed(wide), squeezed(whole))
        return
    if name != "doctor":  # which says how long things took
        assert squeezed(narrow) == squeezed(whole)
    assert abs(len(squeezed(narrow)) - len(squeezed(whole))) < 10


def test_the_doctor_tells_a_long_finding_on_one_line(invoke, environment):
    environment.setenv("MEMTRACE_BASE_URL", "http://127.0.0.1:1/" + "p" * 200)
    environment.setenv("MEMTRACE_API_KEY", "mtk_x")
    lines = invoke("doctor").stdout.splitlines()
    assert any("p" * 200 in line for line in lines)
    assert all(line.startswith(("✓", "✗", "-", "  ")) for line in lines)


def test_a_cell_of_any_length_is_one_line_and_no_other_is_filled_up_to_it(capsys):
    show_table(plain_table({"a": "", "n": ">", "b": ""}, [("x" * 20_000, "1", "日本"), ("y", "20", "z" * 20_000)]))
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [107, 20_008, 20_106]
    assert lines[0] == "a" + " " * 101 + " n  b"


def test_a_line_is_as_rich_writes_it(capsys, environment):
    def table():
        return plain_table({"a": "", "n": ">", "日本": "", "m": ">"}, [("x", "1", "", "2"), ("日本", "10", "é", "30")])

    show_table(table())
    whole = capsys.readouterr().out
    environment.setenv("COLUMNS", "80")
    show_table(table())
    assert capsys.readouterr().out == whole


class TestShortTexts:
    def test_what_each_row_shares_is_said_once_above(self, invoke, client, environment):
        agent = client.agents.register(name="assistant")
        for _ in range(2):
            client.sessions.create(agent_id=agent.id)
        environment.setenv("COLUMNS", "80")
        shared, header, *rows = invoke("sessions").stdout.splitlines()
        assert shared == "agent assistant  status active"
        assert header.split() == ["id", "created"]
        assert len(rows) == 2

    def test_cells_that_are_to_stay_whole_do_from_the_left(self, invoke, client, environment):
        one, two = (client.agents.register(name=name) for name in ("assistant", "importer"))
        sessions = [client.sessions.create(agent_id=agent.id) for agent in (one, two)]
        environment.setenv("COLUMNS", "72")
        lines = invoke("sessions", "--ids").stdout.splitlines()
        assert {word for line in lines for word in line.split()} >= {one.id, two.id, *(each.id for each in sessions)}
        environment.setenv("COLUMNS", "40")
        assert sessions[0].id in invoke("sessions").stdout.split()
        environment.setenv("COLUMNS", "24")
        assert sessions[0].id not in invoke("sessions").stdout.split()

    def test_where_not_all_fits_dates_are_above_times_and_no_word_is_broken(self, invoke, client, environment):
        agent = client.agents.register(name="assistant")
        for _ in range(2):
            client.sessions.create(agent_id=agent.id)
        closed = client.sessions.create(agent_id=agent.id)
        client.sessions.close(closed.id)
        environment.setenv("COLUMNS", "80")
        said = invoke("sessions").stdout
        assert max(map(len, said.splitlines())) <= 80
        assert {"closed", "active", closed.id, "2026-01-01", "00:00:00Z"} <= set(said.split())


class TestTexts:
    """Tables of memories where there is a width: their contents have room and whole words."""

    CONTENT = (
        "The user said that all words should be kept whole in every line of the table, " * 2 + "please, and thanks too"
    )

    @pytest.fixture
    def five(self, client, environment, memtrace_fake):
        environment.setenv("COLUMNS", "80")
        for number in range(5):
            memtrace_fake.clock.advance(1)
            client.memories.add(agent_id="assistant", content=f"{number} {self.CONTENT}", tags=["ui"] * (number % 2))

    def test_what_each_row_shares_is_said_once_above(self, invoke, five):
        shared, header, *rows = invoke("recall", "assistant").stdout.splitlines()
        assert shared == "agent assistant  type episodic  event general"
        assert header.split() == ["time", "tags", "content"]
        assert len(rows) <= 25
        assert not any("episodic" in row or "general" in row for row in rows)

    @pytest.mark.parametrize(
        "command", [("recall", "assistant"), ("search", "words"), ("filter", "words")], ids=" ".join
    )
    @pytest.mark.parametrize("agent", ["assistant", "agent_0123456789abcdef01234567"])
    def test_a_content_has_44_characters_or_more_of_80_and_no_word_is_broken(
        self, invoke, client, five, command, agent
    ):
        client.memories.add(agent_id=agent, content="Words of one more agent " * 4, event_type="e" * 30)
        text = invoke(*command).stdout
        lines = text.splitlines()
        assert max(map(len, lines)) <= 80
        assert {word for line in lines for word in line.split() if word.isalpha()} >= {*self.CONTENT.split()} - {
            "table,", "please,"
        }  # fmt: skip
        begins = [found.start() for line in lines if (found := re.search(r"\d The user said", line))]
        assert len(begins) == 5
        assert 80 - max(begins) >= 44

    def test_one_row_keeps_its_columns_where_they_leave_room(self, invoke, client, environment):
        environment.setenv("COLUMNS", "80")
        client.remember("a", "short")
        assert len(invoke("recall", "a").stdout.splitlines()) == 2
        client.remember("b", "long " * 20)
        shared, *_ = invoke("recall", "b").stdout.splitlines()
        assert shared == "agent b  type episodic  event general"

    def test_a_column_that_is_empty_in_each_row_is_not_shown(self, invoke, client, environment):
        environment.setenv("COLUMNS", "80")
        client.remember("a", "one")
        client.remember("b", "two")
        assert "tags" not in invoke("filter").stdout

    @pytest.mark.slow
    def test_a_note_stands_after_the_table_also_where_both_go_to_one_pipe(self, execute, client):
        for number in range(300):
            client.remember("a", f"{number} {'x' * 80}")
        result = execute(
            "recall", "a", "--limit", "299", stderr=subprocess.STDOUT, capture_output=False, stdout=subprocess.PIPE
        )
        *rows, note = result.stdout.splitlines()
        assert len(rows) == 300
        assert all(row.endswith("x") for row in rows[1:])
        assert note.startswith("memtrace-sdk: these are the newest 299")


def plain(parts):
    console = Console(width=80)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return [line.rstrip() for line in captured.get().splitlines()]


class TestARowByItself:
    def test_its_text_stands_beside_its_fields_where_it_has_room(self):
        assert plain(row_of([("time", "dim"), ("", ""), ("a", "")], "word " * 20, 80)) == [
            "time  a " + "word " * 13 + "word",
            "        " + "word " * 5 + "word",
        ]

    def test_its_text_stands_below_them_where_it_has_none(self):
        assert plain(row_of([("time", "dim"), ("a" * 40, "")], "word " * 20, 80))[:2] == [
            "time  " + "a" * 40,
            "  " + "word " * 14 + "word",
        ]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no pseudo-terminals")
def test_a_terminal_is_as_wide_as_it_is(filled):
    import pty

    near, far = pty.openpty()
    subprocess.run([sys.executable, "-m", "memtrace", "stats", "bot"], stdin=far, stdout=far, check=True, timeout=60)
    seen = os.read(near, 65536)
    os.close(near)
    os.close(far)
    assert b"bot" in seen


def test_rows_that_share_nothing_have_nothing_said_above_them(invoke, server, client, environment):
    environment.setenv("COLUMNS", "100")
    client.memories.add(agent_id="a", content="one", event_type="first", tags=["x"])
    client.memories.add(agent_id="b", content="two", event_type="second", memory_type="decision", tags=["y"])
    shown = invoke("filter").stdout
    assert {"first", "second", "a", "b"} <= set(shown.split())


def test_where_a_filter_chooses_nothing_stderr_says_so(invoke, server):
    result = invoke("filter", "nothing like it")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "memtrace-sdk: nothing was found\n")
