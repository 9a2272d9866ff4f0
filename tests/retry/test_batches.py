"""Batches whose answer is lost: every item's outcome is found out, and none is stored twice."""

import json
from dataclasses import replace

import pytest

from memtrace import AddMemoryRequest, operations
from memtrace.operations._sent_memories import server_dedup_key
from memtrace_transports.memory import Fault
from tests.faces import json_response
from tests.retry.test_memories import NOTHING, WAYS, contents, row
from tests.retry.test_repeats import DOWN, Scripted, broken

LOST = Fault("reset", on="memories.add_many", applied=True)


def items(*texts, **fields):
    return [AddMemoryRequest(agent_id="assistant", content=text, **fields) for text in texts]


def told(result):
    return [(outcome.status, outcome.memory.content if outcome.memory else None) for outcome in result]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(w.kind, on="memories.add_many", applied=w.applied, **({"status": w.status} if w.kind == "status" else {}))
        for w in WAYS
    ],
    ids=lambda fault: fault.describe(),
)
def test_a_batch_is_stored_once_with_the_outcome_of_each_item(fake, client, fault):
    client.remember("assistant", "old")
    fake.clock.advance(60)
    fake.faults.add(fault)
    result = client.memories.add_many(
        [*items("one", "old", "two"), AddMemoryRequest(agent_id="other", content="three")]
    )
    assert told(result) == [("stored", "one"), ("duplicate", None), ("stored", "two"), ("stored", "three")]
    assert contents(fake) == ["old", "one", "two", "three"]
    fake.faults.assert_all_used()


def test_equal_items_of_one_batch_are_each_stored_and_each_found(fake, client):
    fake.faults.add(LOST)
    result = client.memories.add_many(items("same", "same", "else", "same"))
    assert told(result) == [("stored", "same"), ("stored", "same"), ("stored", "else"), ("stored", "same")]
    assert contents(fake) == ["same", "same", "else", "same"]
    assert len({memory.time for memory in result.stored}) == 4


def changing(change):
    """A middleware that has this done to the memories of a batch."""

    def middleware(request, call_next):
        if request.operation == "memories.add_many":
            memories = change(json.loads(request.body)["memories"])
            request = replace(request, body=json.dumps({"memories": memories}).encode())
        return (yield from call_next(request))

    return middleware


def test_memories_that_a_middleware_changes_are_known_by_what_was_sent(fake, client):
    reverse = changing(lambda memories: [{**memory, "content": memory["content"][::-1]} for memory in memories])
    fake.faults.add(LOST)
    result = client.with_options(middleware=[reverse]).memories.add_many(items("one", "two"))
    assert told(result) == [("stored", "eno"), ("stored", "owt")]
    assert contents(fake) == ["eno", "owt"]


@pytest.mark.parametrize(
    "change",
    [lambda memories: memories[:1], lambda memories: 1, lambda memories: [{}, {}]],
    ids=["fewer", "none", "bad"],
)
def test_where_other_things_were_sent_the_memories_that_were_given_are_looked_for(face, change):
    empty = json_response(201, '{"memories": [], "count": 0}')
    stored = [
        row("2026-01-01T00:00:00Z", content=each.content, dedup_key=server_dedup_key(each))
        for each in items("one", "two")
    ]
    found = json_response(200, json.dumps({"memories": stored}))
    scripted = Scripted(face, broken(), NOTHING, NOTHING, empty, found, middleware=[changing(change)])
    assert [outcome.status for outcome in scripted.client.memories.add_many(items("one", "two"))] == ["stored"] * 2


def test_of_chunks_only_the_lost_one_is_sent_again(fake, client):
    fake.faults.add(Fault("reset", on="memories.add_many", nth=2))
    result = client.memories.add_many(items(*map(str, range(250))))
    assert [memory.content for memory in result.stored] == [str(n) for n in range(250)]
    assert contents(fake) == [str(n) for n in range(250)]
    assert len(fake.calls.filter("memories.add_many")) == 4


def test_a_key_that_the_server_never_matches_leaves_its_chunk_unknown(fake, client):
    fake.faults.add(LOST)
    result = client.memories.add_many([*items("a"), *items("b", dedup_key="back\\slash")])
    assert result.unknown == [0, 1]
    assert len(fake.calls.filter("memories.add_many")) == 1


def test_what_cannot_be_looked_up_counts_as_stored_before(face):
    answer = json_response(201, '{"memories": [], "count": 0}')
    scripted = Scripted(face, broken(), NOTHING, NOTHING, answer, *[DOWN] * 3)
    assert scripted.client.memories.add_many(items("a")).duplicates == [0]


def test_a_row_that_is_both_answered_and_found_counts_once(face):
    def row(time, key):
        return {
            "time": time,
            "org_id": "o",
            "agent_id": "assistant",
            "memory_type": "episodic",
            "event_type": "general",
            "content": "c",
            "dedup_key": key,
        }

    answered = json_response(201, json.dumps({"memories": [row("2027-01-15T08:16:42.1234567Z", "k1")], "count": 1}))
    found = json_response(
        200,
        json.dumps({"memories": [row("2027-01-15T08:16:41Z", "k0"), row("2027-01-15T08:16:42.123456Z", "k1")]}),
    )
    scripted = Scripted(face, broken(), NOTHING, NOTHING, answered, found)
    result = scripted.client.memories.add_many(
        [*items("c", dedup_key="k1"), *items("c", dedup_key="k0"), *items("c", dedup_key="k1")]
    )
    assert [outcome.status for outcome in result] == ["stored", "stored", "duplicate"]


@pytest.mark.parametrize(
    "text", ["failed to create memory 0: agent_id is required", "failed to create memory x: y", "disk is full", 5]
)
def test_an_item_that_is_refused_first_or_a_text_of_another_kind_is_not_looked_into(face, text):
    scripted = Scripted(face, json_response(500, json.dumps({"error": text})))
    assert not scripted.client.memories.add_many(items("a", "b")).stored
    assert scripted.sent == ["POST"]


def test_a_500_that_is_no_json_is_not_looked_into(face):
    scripted = Scripted(face, json_response(500, "<html>"))
    assert scripted.client.memories.add_many(items("a", "b")).unknown == [0, 1]


# ---- whose row it is: the key and the content


LONG = "x" * 200


def meanwhile(fake, write):
    """Has this done by another client, once, after the first attempt and before the look at the server."""
    left = [write]

    def when(call):
        if call.operation == "memories.list" and left:
            left.pop()(fake.client(dedup="server"))
        return False

    fake.faults.add(Fault("refused", when=when))


def test_another_clients_row_of_the_same_key_is_not_taken_for_an_items_own(fake, client):
    fake.faults.add(Fault("reset", on="memories.add_many"))
    meanwhile(fake, lambda other: other.remember("assistant", LONG + " another's"))
    result = client.memories.add_many(items("first", LONG + " mine", "last"))
    assert told(result) == [("stored", "first"), ("duplicate", None), ("stored", "last")]
    assert contents(fake) == [LONG + " another's", "first", "last"]


def test_another_clients_row_is_not_taken_for_an_items_own_before_a_refused_one_either(face):
    ours, other = items(LONG + " mine")[0], row("2026-01-01T00:00:00Z", content=LONG + " another's")
    other["dedup_key"] = server_dedup_key(ours)
    found = json_response(200, json.dumps({"memories": [other]}))
    half = json_response(500, json.dumps({"error": "failed to create memory 1: content is required"}))
    scripted = Scripted(face, half, NOTHING, found)
    assert [outcome.status for outcome in scripted.client.memories.add_many([ours, *items("bad")])] == [
        "duplicate",
        "failed",
    ]


def test_another_clients_row_is_not_taken_for_a_buffered_memorys_own(fake):
    fake.faults.add(Fault("reset", on="memories.add_many"))
    meanwhile(fake, lambda other: other.remember("assistant", LONG + " another's"))
    with fake.client(dedup="server").memories.buffered() as buffer:
        futures = [buffer.add(item) for item in items(LONG + " mine", "last")]
        buffer.flush()
    assert [future.result().status for future in futures] == ["duplicate", "stored"]


def test_an_item_with_a_key_of_the_call_is_known_by_that_alone(fake, client):
    numbers = iter(range(100))

    def encrypt(request, call_next):
        if request.operation == "memories.add_many":
            memories = [
                {**memory, "content": f"secret {next(numbers)}"} for memory in json.loads(request.body)["memories"]
            ]
            request = replace(request, body=json.dumps({"memories": memories}).encode())
        return (yield from call_next(request))

    fake.faults.add(LOST)
    unique = client.with_options(dedup="per_call", attempt_middleware=[encrypt])
    assert told(unique.memories.add_many(items("same", "same"))) == [("stored", "secret 0"), ("stored", "secret 1")]
    assert contents(fake) == ["secret 0", "secret 1"]


def test_a_buffered_memory_with_a_key_of_the_call_is_known_by_that_alone(fake):
    numbers = iter(range(100))
    encrypt = changing(lambda memories: [{**memory, "content": f"secret {next(numbers)}"} for memory in memories])
    fake.faults.add(LOST)
    with fake.client(dedup="per_call", attempt_middleware=[encrypt]).memories.buffered() as buffer:
        future = buffer.add(items("text")[0])
        buffer.flush()
    assert future.result().memory.content == "secret 0"
    assert contents(fake) == ["secret 0"]


# ---- outcomes by what was sent


def prefixed(request, call_next):
    """Changes each content on its way, and back again in the answer."""
    if request.operation != "memories.add_many":
        return (yield from call_next(request))
    memories = [{**memory, "content": f"v1:{memory['content']}"} for memory in json.loads(request.body)["memories"]]
    response = yield from call_next(replace(request, body=json.dumps({"memories": memories}).encode()))
    return replace(response, body=response.body.replace(b'"content":"v1:', b'"content":"'))


@pytest.mark.parametrize("place", ["middleware", "attempt_middleware"])
@pytest.mark.parametrize("also_back", [False, True], ids=["on its way", "and back"])
@pytest.mark.parametrize("fault", [None, LOST, Fault("reset", on="memories.add_many")], ids=["none", "lost", "before"])
def test_outcomes_of_contents_that_a_middleware_changes_go_to_the_items_that_were_sent(
    fake, client, place, also_back, fault
):
    on_its_way = changing(lambda memories: [{**memory, "content": f"v1:{memory['content']}"} for memory in memories])
    changed = client.with_options(**{place: [prefixed if also_back else on_its_way]})
    fake.client().remember("assistant", "v1:old")
    fake.clock.advance(60)
    if fault is not None:
        fake.faults.add(fault)
    result = changed.memories.add_many(items("old", "one", "two"))
    assert [outcome.status for outcome in result] == ["duplicate", "stored", "stored"]
    assert [memory.content.removeprefix("v1:") for memory in result.stored] == ["one", "two"]
    assert contents(fake) == ["v1:old", "v1:one", "v1:two"]


def test_outcomes_of_an_answer_that_a_middleware_makes_unknowable_go_by_the_keys(fake, client):
    def redact(request, call_next):
        response = yield from call_next(request)
        if request.operation != "memories.add_many":
            return response
        answer = json.loads(response.body)
        return replace(
            response,
            body=json.dumps({**answer, "memories": [{**m, "content": "***"} for m in answer["memories"]]}).encode(),
        )

    fake.client().remember("assistant", "old")
    fake.clock.advance(60)
    result = client.with_options(middleware=[redact]).memories.add_many(items("one", "old", "two"))
    assert told(result) == [("stored", "***"), ("duplicate", None), ("stored", "***")]


def test_of_two_items_with_one_key_the_content_tells_which_was_stored(face):
    first, second = items(LONG + " first", LONG + " second")
    stored = row("2026-01-01T00:00:00Z", content=second.content, dedup_key=server_dedup_key(second))
    scripted = Scripted(face, json_response(201, json.dumps({"memories": [stored], "count": 1})))
    assert told(scripted.client.memories.add_many([first, second])) == [
        ("duplicate", None),
        ("stored", second.content),
    ]


def test_a_raw_batch_says_which_items_its_rows_are_of(fake, client):
    client.remember("assistant", "old")
    fake.clock.advance(60)
    added = client.send(operations.add_memories(items("old", "one"))).parsed
    assert (added.places, added.memories[0].content) == ([1], "one")


@pytest.mark.parametrize("rejected", [{"item": -1, "error": "x"}, {"item": 10**30, "error": "x"}])
def test_an_answer_with_a_place_that_there_is_not_leaves_no_item_without_an_outcome(face, rejected):
    answer = json_response(201, json.dumps({"memories": [], "count": 0, "rejected": rejected, "places": [9]}))
    scripted = Scripted(face, answer, *[NOTHING] * 3, answer, *[NOTHING] * 3, answer, answer)
    assert len(scripted.client.memories.add_many(items("one", "two"))) == 2
