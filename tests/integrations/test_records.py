from __future__ import annotations

import json
import math
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import (
    BatchError,
    DeadlineExceededError,
    InvalidRequestError,
    Memory,
    Memtrace,
    PayloadTooLargeError,
    ResponseDecodeError,
    ServerError,
)
from memtrace.integrations._records import RecordCodec, event_type_of, json_text, write
from memtrace.transport import Headers, Response
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.dealing import by_visibility
from tests.faces import ONCE
from tests.integrations.values import JSON
from tests.workflows.rows_server import moment

FORM = RecordCodec("test-format", "assistant", "thread")


def requests(*items, form=FORM):
    return [
        form.request("item", json_text(item, "item"), content=f"item {i}", event_type="note")
        for i, item in enumerate(items)
    ]


def run(client, workflow):
    return client._dispatcher.run(workflow)


def written(client, *items, form=FORM, wait_timeout=5.0):
    return run(client, write(requests(*items, form=form), wait_timeout, client._dispatcher.settings.clock))


def read(client, form=FORM, page_size=1000):
    """All records, the newest first."""
    moments = form.newest_first(client._dispatcher.settings.clock, page_size=page_size)
    found = []
    while (records := run(client, moments.next())) is not None:
        found += records
    return found


def nested(depth):
    value = "bottom"
    for _ in range(depth):
        value = [value]
    return value


# ---- values


@given(JSON)
def test_what_is_json_comes_back_exactly(value):
    back = json.loads(json_text(value, "item"))
    assert back == value
    assert json.dumps(back) == json.dumps(value)  # 1 and 1.0 and True are equal


def test_a_tuple_comes_back_as_a_list():
    assert json_text({"a": (1, (2,))}, "item") == '{"a": [1, [2]]}'


def test_text_stays_readable_but_for_half_characters():
    assert json_text("Grüße", "item") == '"Grüße"'
    assert json_text("a\ud83d", "item") == '"a\\ud83d"'


CIRCLE: list = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        {"a": [math.inf]},
        {1: "a"},
        {"a": {None: 1}},
        [{"a": {True: 1}}],
        {"a": object()},
        b"bytes",
        {1, 2},
        CIRCLE,
    ],
    ids=["nan", "infinity", "number", "none", "truth", "object", "bytes", "set", "circle"],
)
def test_what_json_would_change_or_cannot_hold_is_refused_by_name(value):
    with pytest.raises(InvalidRequestError, match=r"^items\[3\] must be JSON: strings as keys") as caught:
        json_text(value, "items[3]")
    assert caught.value.field == "items[3]"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("levels", [101, 100_000])
def test_what_is_too_deep_is_refused_by_name(levels):
    with pytest.raises(InvalidRequestError, match=r"^items\[3\] must be JSON: strings as keys") as caught:
        json_text(nested(levels), "items[3]")
    assert caught.value.field == "items[3]"
    assert caught.value.__cause__ is None


def test_a_value_may_have_a_hundred_levels():
    assert json.loads(json_text(nested(100), "item")) == nested(100)


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("user_message", "user_message"),
        ("web-search", "item"),
        ("1st", "item"),
        ("", "item"),
        (None, "item"),
        (7, "item"),
        ("a" * 64, "a" * 64),
        ("a" * 65, "item"),
    ],
)
def test_a_name_that_is_no_event_type_becomes_item(name, type_):
    assert event_type_of(name) == type_


# ---- writing and reading


def test_a_record_is_a_memory_that_people_can_read(fake):
    client = fake.client()
    (row,) = written(client, {"n": 2**60, "b": 1, "a": 1.0})
    (memory,) = client.memories.list(tags="test-format", tags_match="exact").memories
    assert (memory.agent_id, memory.session_id, memory.memory_type) == ("assistant", "thread", "episodic")
    assert (memory.content, memory.event_type, memory.dedup_key) == ("item 0", "note", row.dedup_key)
    assert memory.metadata["record"] == "item"
    assert memory.metadata["item"] == '{"n": 1152921504606846976, "b": 1, "a": 1.0}'
    (record,) = read(client)
    assert json.dumps(record.item) == '{"n": 1152921504606846976, "b": 1, "a": 1.0}'


@given(st.lists(JSON, max_size=8), st.sampled_from(["immediate", "server"]), st.integers(1, 5))
def test_items_come_back_in_order_and_equal_ones_are_all_kept(items, visibility, page_size):
    client = FakeMemtrace(clock=ManualClock(), visibility=visibility).client()
    written(client, *items, *items)
    found = [record.item for record in read(client, page_size=page_size)]
    assert json.dumps(found[::-1]) == json.dumps([*items, *items])


def test_what_was_written_can_be_read_when_writing_returns(fake):
    client = fake.client()
    written(client, *range(250))
    assert [record.item for record in read(client)] == list(range(250))[::-1]
    fake.calls.assert_called("memories.add_many", times=3)


def test_nobody_waits_who_does_not_want_to():
    fake = FakeMemtrace(clock=ManualClock(), visibility="server")
    client = fake.client()
    before = fake.clock.monotonic()
    written(client, "a", wait_timeout=None)
    assert fake.clock.monotonic() == before
    assert read(client) == []
    fake.flush()
    assert [record.item for record in read(client)] == ["a"]


def test_nothing_written_is_nothing_sent(fake):
    client = fake.client()
    assert written(client) == []
    assert client.memories.list().count == 0


def test_nothing_is_sent_when_one_item_breaks_a_rule(fake):
    client = fake.client()
    good, bad = requests("a", "b")
    with pytest.raises(InvalidRequestError, match=r"memories\[1\]\.tags"):
        run(client, write([good, bad.model_copy(update={"tags": ["a b"]})], 5.0, fake.clock))
    assert client.memories.list().count == 0


def test_an_item_over_the_servers_limit_is_refused_unsent(fake):
    client = fake.client()
    with pytest.raises(PayloadTooLargeError, match=r"the request body has \d+ bytes; the server takes") as caught:
        written(client, "a", "b" * (4 * 1024 * 1024))
    assert caught.value.argument == "memories[1]"
    assert client.memories.list().count == 0


def test_half_a_character_is_exact_in_the_item_and_replaced_in_the_text(fake):
    client = fake.client()
    request = FORM.request("item", json_text("a\ud83d", "item"), content="a\ud83d", event_type="note")
    run(client, write([request], 5.0, fake.clock))
    (record,) = read(client)
    assert (record.item, record.memory.content) == ("a\ud83d", "a\ufffd")


def test_formats_agents_and_sessions_do_not_see_each_other(fake):
    client = fake.client()
    others = [
        RecordCodec("test-format-2", "assistant", "thread"),
        RecordCodec("test-format", "other", "thread"),
        RecordCodec("test-format", "assistant", "other"),
    ]
    for form in others:
        written(client, form.name, form=form)
    written(client, "mine")
    assert [record.item for record in read(client)] == ["mine"]


def test_memories_of_others_are_passed_over(fake):
    client = fake.client()
    fields = {"agent_id": "assistant", "session_id": "thread", "tags": ["test-format"]}
    for number, metadata in enumerate(
        (None, {"record": "item"}, {"record": 1, "sequence": 1}, {"record": "item", "sequence": "1"})
    ):
        client.memories.add(wait=True, content=f"note {number}", metadata=metadata, **fields)
    assert read(client) == []


@by_visibility("item", ["{", 7, None])
def test_a_record_that_holds_no_item_is_told(fake, item):
    client = fake.client()
    metadata = {"record": "item", "sequence": 1, "item": item}
    client.memories.add(
        wait=True, agent_id="assistant", session_id="thread", content="secret", tags=["test-format"], metadata=metadata
    )
    with pytest.raises(ResponseDecodeError, match="a record of test-format holds no item in its metadata") as caught:
        read(client)
    assert "secret" not in str(caught.value)


# ---- order within one microsecond


def row(time, sequence, key):
    return Memory(
        time=moment(time),
        org_id="o",
        agent_id="a",
        memory_type="episodic",
        event_type="note",
        content="c",
        tags=["test-format"],
        dedup_key=key,
        metadata={"record": "item", "item": json.dumps(key), "sequence": sequence},
    )


class Shelf:
    """A server with rows of given times, those of one microsecond in an order of its own."""

    def __init__(self, rows):
        self.rows = rows

    def send(self, request):
        query = {name: values[0] for name, values in parse_qs(request.target.partition("?")[2]).items()}
        rows = sorted(self.rows, key=lambda row: row.time, reverse=True)
        text = query.get("until")
        if text:
            rows = [row for row in rows if row.time.isoformat() < text.replace("Z", "+00:00")]
        text = query.get("since")
        if text:
            rows = [row for row in rows if row.time.isoformat() > text.replace("Z", "+00:00")]
        offset = int(query.get("offset", 0))
        rows = rows[offset : offset + int(query["limit"])]
        body = json.dumps(
            {"memories": [json.loads(row.model_dump_json()) for row in rows], "count": 0, "has_more": True}
        )
        return Response(200, Headers({"content-type": "application/json"}), body.encode())

    def close(self):
        pass


@pytest.mark.parametrize("page_size", [2, 3, 5, 100])
def test_records_of_one_microsecond_stand_in_the_order_in_which_they_were_written(page_size):
    rows = [row(20, 4, "d"), row(10, 2, "b"), row(10, 3, "c"), row(10, 1, "a"), row(30, 6, "f"), row(30, 5, "e")]
    client = Memtrace("http://server", "key", transport=Shelf(rows))
    assert [record.item for record in read(client, RecordCodec("test-format", "a"), page_size)] == list("fedcba")


# ---- failures


def test_what_is_stored_but_cannot_be_read_in_time_may_be_stored():
    fake = FakeMemtrace(clock=ManualClock(), visibility="server")
    client = fake.client()
    with pytest.raises(DeadlineExceededError, match="could not be read within 0") as caught:
        written(client, "a", wait_timeout=0)
    assert caught.value.code == "visibility_timeout"
    assert caught.value.maybe_applied
    assert not caught.value.retryable
    assert "do not store them again" in caught.value.hint
    fake.flush()
    assert [record.item for record in read(client)] == ["a"]


def test_a_storage_that_is_down_is_told_and_the_write_may_be_stored():
    fake = FakeMemtrace(clock=ManualClock())
    client = fake.client()
    fake.set_storage("default", "down")
    with pytest.raises(ServerError) as caught:
        run(client.with_options(retry=ONCE), write(requests("a"), 5.0, fake.clock))
    assert caught.value.maybe_applied


def test_of_a_batch_that_broke_off_the_error_says_what_was_stored(fake):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("refused", on="memories.add_many", nth=2))
    with pytest.raises(BatchError) as caught:
        written(client, *range(150))
    assert (len(caught.value.result.stored), len(caught.value.result.failed)) == (100, 50)
    fake.flush()
    assert len(read(client)) == 100


def test_an_answer_that_was_lost_is_found_again_and_nothing_stored_twice(fake):
    client = fake.client()
    fake.faults.add(Fault("reset", on="memories.add_many", applied=True))
    written(client, "a", "b", "a")
    assert [record.item for record in read(client)] == ["a", "b", "a"]
    fake.faults.assert_all_used()
