"""Writing memories: validation, stored forms, batches, duplicates."""

from __future__ import annotations

import hashlib
import re

import pytest

from memtrace_transports.memory import ManualClock
from tests.fake.caller import Caller

IDENTIFIER = "invalid ID format: must be alphanumeric with underscores/hyphens, max 128 chars"
TYPE = "invalid type format: must be alphanumeric with underscores, max 64 chars"
TAG = "invalid tag format: must be alphanumeric with underscores/hyphens/dots, max 64 chars"


def test_faults_are_told_in_the_order_of_the_server(api: Caller) -> None:
    body = {
        "agent_id": "",
        "content": "",
        "memory_type": "nope",
        "session_id": "!",
        "event_type": "!",
        "tags": ["ok", "!", "?"],
    }
    repairs = [
        ("agent_id is required", {"agent_id": "!"}),
        ("content is required", {"content": "x"}),
        ("invalid memory_type: nope", {"memory_type": "entity"}),
        (f"invalid agent_id: {IDENTIFIER}", {"agent_id": "a"}),
        (f"invalid session_id: {IDENTIFIER}", {"session_id": "s"}),
        (f"invalid event_type: {TYPE}", {"event_type": "e"}),
        (f"invalid tag '!': {TAG}", {"tags": []}),
    ]
    for fault, repair in repairs:
        answer = api.post("/memories", body)
        assert (answer.status, answer.error) == (400, fault)
        body |= repair
    assert api.post("/memories", body).status == 201


@pytest.mark.parametrize("good", ["a", "A-_9", "a" * 128])
def test_identifiers_that_are_taken(api: Caller, good: str) -> None:
    assert api.add(agent_id=good, session_id=good).status == 201


@pytest.mark.parametrize("bad", ["1a", "_a", "-a", "a.b", "a b", "é", "a" * 129, "a\n", "a\0"])
def test_identifiers_that_are_refused(api: Caller, bad: str) -> None:
    assert api.add(agent_id=bad).error == f"invalid agent_id: {IDENTIFIER}"
    assert api.add(session_id=bad).error == f"invalid session_id: {IDENTIFIER}"


@pytest.mark.parametrize(
    ("value", "status"), [("a", 201), ("A_9", 201), ("a" * 64, 201), ("a" * 65, 400), ("a-b", 400), ("9", 400)]
)
def test_event_types(api: Caller, value: str, status: int) -> None:
    assert api.add(event_type=value).status == status


@pytest.mark.parametrize(
    ("value", "status"),
    [("1", 201), ("a.b-c_D", 201), ("", 201), ("x" * 64, 201), ("x" * 65, 400), ("a b", 400), ("a,b", 400), ("é", 400)],
)
def test_tags(api: Caller, value: str, status: int) -> None:
    assert api.add(tags=["t", value]).status == status


def test_the_four_memory_types_are_taken_and_empty_is_episodic(api: Caller) -> None:
    for name in ("episodic", "session", "decision", "entity"):
        assert api.add(name, memory_type=name).json["memory_type"] == name
    assert api.add("x", memory_type="", event_type="").json | {"time": ""} == {
        "time": "",
        "org_id": api.org.org_id,
        "agent_id": "bot",
        "memory_type": "episodic",
        "event_type": "general",
        "content": "x",
        "dedup_key": hashlib.sha256(b"bot|general|x").hexdigest()[:32],
    }
    assert api.add("y", memory_type="Episodic").error == "invalid memory_type: Episodic"


def test_what_is_not_checked(api: Caller) -> None:
    memory = api.add(importance=-7.5, parent_id="no such/parent!", session_id="unknown").json
    assert (memory["importance"], memory["parent_id"], memory["session_id"]) == (-7.5, "no such/parent!", "unknown")


def test_the_time_cannot_be_set(api: Caller) -> None:
    assert api.add(time="2020-01-01T00:00:00Z").json["time"].startswith("2026-01-01")


def test_tags_are_joined_and_a_single_empty_one_is_lost_when_read(api: Caller) -> None:
    assert api.add("one", tags=[""]).json["tags"] == [""]
    assert api.add("two", tags=["a", ""]).json["tags"] == ["a", ""]
    two, one = api.get("/memories").json["memories"]
    assert "tags" not in one
    assert two["tags"] == ["a", ""]


def test_numbers_in_metadata_go_through_float64(api: Caller) -> None:
    metadata = {"z": 2**53 + 1, "y": 12345678901234567890, "x": 1.0, "w": -0.0}
    body = api.add(metadata=metadata).text
    wanted = '{"w":0,"x":1,"y":12345678901234567000,"z":9007199254740992}'
    assert f'"metadata":{wanted}' in body
    assert f'"metadata":{wanted}' in api.get("/memories").text


def test_an_answer_to_a_write_has_nanoseconds_and_a_read_microseconds(api: Caller) -> None:
    first, second = api.add("1").json, api.add("2").json
    assert re.fullmatch(r"2026-01-01T00:00:00\.000000\d{1,3}Z", first["time"])
    assert re.fullmatch(r"2026-01-01T00:00:00\.000001\d{1,3}Z", second["time"])
    times = [memory["time"] for memory in api.get("/memories?order=asc").json["memories"]]
    assert times == ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z"]


def test_members_stand_in_the_order_of_the_server(api: Caller) -> None:
    memory = api.add(session_id="s", metadata={"a": 1}, tags=["t"], importance=1, parent_id="p", dedup_key="k").json
    assert list(memory) == [
        *("time", "org_id", "agent_id", "session_id", "memory_type", "event_type", "content"),
        *("metadata", "tags", "dedup_key", "importance", "parent_id"),
    ]


# duplicates


def test_the_same_agent_event_and_content_is_a_duplicate_whatever_else_differs(api: Caller) -> None:
    assert api.add().status == 201
    answer = api.add(memory_type="entity", session_id="s", tags=["t"], metadata={"a": 1}, importance=1)
    assert (answer.status, answer.json) == (409, {"error": "duplicate memory"})
    assert api.add(agent_id="other").status == 201
    assert api.add(event_type="error").status == 201


def test_only_the_first_200_bytes_of_the_content_count(api: Caller) -> None:
    assert api.add("é" * 100 + "A").status == 201
    assert api.add("é" * 100 + "B").status == 409
    assert api.add("x" + "é" * 99 + "éA").status == 201
    assert api.add("x" + "é" * 99 + "éB").status == 409
    assert api.add("x" + "é" * 98 + "zzA").status == 201


def test_a_key_of_the_callers_own_replaces_the_generated_one(api: Caller) -> None:
    assert api.add("one", dedup_key="k").json["dedup_key"] == "k"
    assert api.add("two", agent_id="other", dedup_key="k").status == 409
    assert api.add("one").status == 201
    assert api.add("one", dedup_key="").status == 409


@pytest.mark.parametrize("key", ["a\\b", "a\0b"])
def test_a_key_with_a_backslash_or_a_nul_never_matches(api: Caller, key: str) -> None:
    assert [api.add(f"{n}", dedup_key=key).status for n in range(2)] == [201, 201]


def test_a_duplicate_is_one_for_24_hours(api: Caller, clock: ManualClock) -> None:
    api.add()
    clock.advance(86_399)
    assert api.add().status == 409
    clock.advance(1)
    assert api.add().status == 201
    assert api.add().status == 409


def test_the_newest_of_several_rows_with_one_key_counts(api: Caller) -> None:
    api.add(dedup_key="k")
    api.fake.seed(api.org, [{"agent_id": "bot", "content": "old", "age_s": 90_000, "dedup_key": "k"}])
    assert api.add("again", dedup_key="k").status == 409


def test_a_key_belongs_to_one_organisation(api: Caller, late: Caller) -> None:
    assert (api.add().status, late.add().status) == (201, 201)


# batches


def test_a_batch_answers_its_rows_and_leaves_duplicates_out(api: Caller) -> None:
    api.add("a")
    items = [{"agent_id": "bot", "content": content} for content in "abb"]
    answer = api.post("/memories", {"memories": items})
    assert (answer.status, list(answer.json), answer.json["count"]) == (201, ["count", "memories"], 2)
    assert api.contents() == ["a", "b", "b"]
    assert api.post("/memories", {"memories": items}).json == {"memories": [], "count": 0}


def test_what_stands_before_an_invalid_item_is_stored(api: Caller) -> None:
    items = [{"agent_id": "bot", "content": "a"}, {"agent_id": "bot"}, {"agent_id": "bot", "content": "c"}]
    answer = api.post("/memories", {"memories": items})
    assert (answer.status, answer.error) == (500, "failed to create memory 1: content is required")
    assert api.contents() == ["a"]


def test_a_batch_wins_over_single_fields(api: Caller) -> None:
    api.post("/memories", {"agent_id": "bot", "content": "x", "MEMORIES": [{"agent_id": "bot", "content": "y"}]})
    assert api.contents() == ["y"]


@pytest.mark.parametrize("batch", [[], None, "x", {}, [1], [{"agent_id": 1}], [{"content": "a"}, []]])
def test_an_empty_or_unreadable_batch_is_read_as_a_single_memory(api: Caller, batch: object) -> None:
    assert api.post("/memories", {"memories": batch}).error == "agent_id is required"
    assert api.post("/memories", {"memories": batch, "agent_id": "bot", "content": "single"}).status == 201
    assert api.contents() == ["single"]


def test_null_in_a_batch_is_a_memory_without_fields(api: Caller) -> None:
    answer = api.post("/memories", {"memories": [None]})
    assert (answer.status, answer.error) == (500, "failed to create memory 0: agent_id is required")
