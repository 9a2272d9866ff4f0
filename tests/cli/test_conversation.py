"""Reading conversations and loading them, without a terminal."""

from __future__ import annotations

import io
import json

import pytest

from memtrace import Memtrace
from memtrace._cli.conversation_loader import LoadReport, load, read_turns
from memtrace._cli.json_lines import LineError, bounded_lines
from tests.cli.conftest import turn


def read(*lines):
    return list(read_turns(lines, "chat.jsonl"))


def problem_of(*lines):
    with pytest.raises(LineError) as caught:
        read(*lines)
    return caught.value


@pytest.fixture
def client():
    with Memtrace("memory://", "any-key", timeout=None) as client:
        yield client


def loaded(client, *lines):
    report, chunks = LoadReport(), []
    load(client, read_turns(lines, "chat.jsonl"), report, chunks.append)
    return report, chunks


class TestReading:
    def test_everything_but_the_text_is_metadata(self):
        (one,) = read(turn(caption="a mill", mood={"calm": 0.5}))
        assert one.text == "Good morning!"
        assert one.metadata == {
            "conversation": 7,
            "session": 1,
            "time": "2026-03-02T09:00:00Z",
            "speaker": "Ines",
            "id": "1:1",
            "caption": "a mill",
            "mood": {"calm": 0.5},
        }

    def test_blank_lines_a_byte_order_mark_and_crlf_are_no_fault(self):
        lines = (b"\xef\xbb\xbf" + turn(), b"\n", b" \r\n", turn(id="1:2").replace(b"\n", b"\r\n"))
        turns = read(*lines)
        assert [(one.line, one.id) for one in turns] == [(1, "1:1"), (4, "1:2")]
        assert turns[-1].end == sum(map(len, lines))

    def test_a_caption_may_be_null(self):
        assert read(turn(caption=None))[0].metadata["caption"] is None

    def test_names_may_be_numbers_or_texts(self):
        assert read(turn(conversation="a", session="b", id=3))[0].id == 3

    @pytest.mark.parametrize("name", ["conversation", "session", "time", "speaker", "id", "text"])
    def test_a_missing_field_is_named_with_its_line(self, name):
        error = problem_of(turn(), turn(**{name: ...}))
        assert (error.file, error.line, error.field) == ("chat.jsonl", 2, name)
        assert str(error).startswith(f'chat.jsonl, line 2, field "{name}": is missing; each line needs conversation,')

    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"text": 5}, "is a number; it must be a string"),
            ({"text": None}, "is null; it must be a string"),
            ({"text": ["a"]}, "is a list; it must be a string"),
            ({"text": {}}, "is an object; it must be a string"),
            ({"speaker": True}, "is true or false; it must be a string"),
            ({"time": 1.5}, "is a number with a fraction; it must be a string"),
            ({"session": 1.5}, "is a number with a fraction; it must be a whole number or a string"),
            ({"conversation": False}, "is true or false; it must be a whole number or a string"),
            ({"caption": 5}, "is a number; it must be a string"),
            ({"text": ""}, "is empty; it must be a string with at least one character"),
            ({"session": ""}, "is empty; it must be a string with at least one character"),
        ],
    )
    def test_a_mistyped_or_empty_field_is_named_without_its_value(self, fields, problem):
        error = problem_of(turn(**fields))
        assert (error.line, error.field, error.problem) == (1, next(iter(fields)), problem)

    def test_an_empty_caption_is_fine(self):
        assert read(turn(caption=""))[0].metadata["caption"] == ""

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            (b"{secret", "not JSON: Expecting property name enclosed in double quotes at column 2"),
            (b'["secret"]', "not a JSON object; each line is one, written as {...}"),
            (b'{"text": "secret \xff"}', "byte 18 of the line is not UTF-8; convert the file to UTF-8"),
            (b'{"text": "\\ud800"}', "a string contains half of a surrogate pair, which UTF-8 cannot express"),
            (b'{"x": NaN}', "a number is not finite, or too large for a 64-bit float"),
            (b'{"x": 1e999}', "a number is not finite, or too large for a 64-bit float"),
            (b'{"x": 1' + b"0" * 400 + b"}", "a number is not finite, or too large for a 64-bit float"),
            (b'{"x": 1' + b"0" * 5000 + b"}", "a number is not finite, or too large for a 64-bit float"),
            (b"[" * 100_000, "nested too deeply"),
        ],
    )
    def test_a_line_that_is_no_turn_is_named_without_its_content(self, line, problem):
        error = problem_of(turn(), line)
        assert (error.line, error.field, error.problem) == (2, None, problem)
        assert "secret" not in str(error)

    def test_a_fraction_in_an_extra_field_is_kept(self):
        assert read(turn(mood=0.25))[0].metadata["mood"] == 0.25

    def test_a_line_longer_than_any_memory_is_named(self):
        stream = io.BytesIO(turn() + b'{"text": "' + b"x" * 30_000_000 + b'"}\n' + turn())
        turns = read_turns(bounded_lines(stream), "chat.jsonl")
        assert next(turns).line == 1
        with pytest.raises(LineError, match=r"^chat\.jsonl, line 2: has more than"):
            next(turns)

    def test_what_no_request_could_carry_is_not_parsed(self):
        error = problem_of(turn(), b'{"x": [' + b"[]," * 2_000_000 + b"[]]}")
        assert (error.line, error.problem) == (
            2,
            "cannot be stored: the request body has more than the 4194304 bytes that the server takes",
        )

    def test_a_stream_that_breaks_is_an_error_of_the_file(self):
        def lines():
            yield turn()
            raise OSError(5, "Input/output error")

        turns = read_turns(lines(), "chat.jsonl")
        assert next(turns).line == 1
        with pytest.raises(LineError, match=r"^chat\.jsonl: cannot be read: Input/output error$"):
            next(turns)


class TestLoading:
    def test_each_speaker_of_each_conversation_is_an_agent_and_each_session_has_its_first_speaker_as_owner(
        self, client
    ):
        report, _ = loaded(
            client,
            turn(),
            turn(id="1:2", speaker="Otto"),
            turn(id="2:1", session=2, speaker="Otto"),
            turn(id="1:1", conversation=8, speaker="Otto"),
        )
        names = {agent.id: agent.name for agent in client.agents.list().agents}
        assert sorted(names.values()) == ["Ines (conversation 7)", "Otto (conversation 7)", "Otto (conversation 8)"]
        sessions = {
            (session.metadata["conversation"], session.metadata["session"]): names[session.agent_id]
            for session in client.sessions.list().sessions
        }
        assert sessions == {
            (7, 1): "Ines (conversation 7)",
            (7, 2): "Otto (conversation 7)",
            (8, 1): "Otto (conversation 8)",
        }
        assert (report.read, report.stored, len(report.agents), len(report.sessions)) == (4, 4, 3, 3)

    def test_what_was_said_comes_back_with_its_metadata_agent_and_session(self, client):
        report, _ = loaded(client, turn(), turn(id="1:2", speaker="Otto", text="Hello!", caption="a mill"))
        second, first = client.memories.list(limit=2).memories
        assert (first.content, second.content) == ("Good morning!", "Hello!")
        assert second.metadata["caption"] == "a mill"
        assert second.agent_id == report.agents["Otto (conversation 7)"]
        assert second.session_id == report.sessions["7", "1"]

    def test_two_turns_with_the_same_words_are_both_stored(self, client):
        report, _ = loaded(client, turn(), turn(id="1:2"))
        assert (report.stored, report.duplicates) == (2, 0)

    def test_a_turn_that_is_there_twice_is_counted_as_a_duplicate(self, client):
        lines = [turn(id=f"1:{number}") for number in range(3)]
        report, _ = loaded(client, *lines, *lines)
        assert (report.read, report.stored, report.duplicates) == (6, 3, 3)

    def test_names_with_separators_do_not_collide(self, client):
        report, _ = loaded(client, turn(conversation="a/b", session="c"), turn(conversation="a", session="b/c"))
        assert (report.stored, len(report.sessions), len(report.agents)) == (2, 2, 2)

    def test_requests_hold_a_hundred_turns(self, client):
        _, chunks = loaded(client, *(turn(id=number) for number in range(250)))
        assert [last.line for last in chunks] == [100, 200, 250]

    def test_what_stands_before_a_bad_line_is_stored_and_counted(self, client):
        report = LoadReport()
        lines = [*(turn(id=number) for number in range(150)), b"nonsense\n", turn(id="after")]
        with pytest.raises(LineError, match=r"^chat\.jsonl, line 151: not JSON"):
            load(client, read_turns(lines, "chat.jsonl"), report, lambda turn: None)
        assert (report.read, report.stored) == (150, 150)
        assert len(client.memories.list(limit=1000).memories) == 150

    def test_long_turns_make_requests_of_fewer(self, client):
        _, chunks = loaded(client, *(turn(id=number, text="x" * 1_500_000) for number in range(7)))
        assert [last.line for last in chunks] == [3, 6, 7]

    def test_a_turn_over_the_servers_size_is_named_and_the_others_are_counted(self, client):
        report = LoadReport()
        lines = [turn(), turn(id="1:2", text="a" * (4 * 1024 * 1024))]
        with pytest.raises(LineError, match="cannot be stored: the request body has") as caught:
            load(client, read_turns(lines, "chat.jsonl"), report, lambda turn: None)
        assert (caught.value.line, caught.value.field, report.stored) == (2, "text", 1)

    def test_metadata_that_the_sdk_cannot_write_is_named_by_its_line(self, client):
        deep = []
        for _ in range(300):
            deep = [deep]
        with pytest.raises(LineError, match="cannot be stored: metadata") as caught:
            loaded(client, turn(), turn(id="1:2", deep=deep))
        assert (caught.value.line, caught.value.field) == (2, None)


class TestTheWordToSearchFor:
    @pytest.mark.parametrize(
        ("said", "word"),
        [
            ([(1, "the observatory"), (2, "our observatory at noon")], "observatory"),
            ([(1, "extraordinary stars"), (2, "more stars")], "stars"),
            ([(1, "extraordinary stars")], "extraordinary"),
            ([(1, "stars stars"), (2, "moons")], "stars"),
            ([(1, "?!")], "?!"),
        ],
    )
    def test_it_is_the_longest_of_several_sessions_else_of_all(self, client, said, word):
        lines = [turn(id=place, session=session, text=text) for place, (session, text) in enumerate(said)]
        assert loaded(client, *lines)[0].word == word


def test_the_conversation_that_comes_with_the_sdk_is_well_formed():
    from importlib import resources

    lines = resources.files("memtrace._cli").joinpath("conversation.jsonl").read_bytes().splitlines(keepends=True)
    turns = read(*lines)
    assert len(turns) == 24
    assert len({one.session for one in turns}) == 3
    assert {one.speaker for one in turns} == {"Ines", "Otto"}
    assert [json.loads(line)["time"] for line in lines] == sorted(one.metadata["time"] for one in turns)
