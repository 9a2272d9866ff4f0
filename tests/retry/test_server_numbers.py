"""Every number and date that a server writes is bounded; what is out of bounds is an error of the SDK, or counts as not said."""

import json

import pytest

from memtrace import AddMemoryRequest, APIConnectionError, ConflictError, MemtraceError, RateLimitError, RetryPolicy
from memtrace.exceptions import ResponseDecodeError
from memtrace.transport import Headers, Response
from tests.faces import ONCE, json_response
from tests.retry.test_memories import CONFLICT, NOTHING, dated, row
from tests.retry.test_repeats import Scripted, broken

MANY = "9" * 5_000
ITEMS = [AddMemoryRequest(agent_id="a", content=text) for text in "xyz"]


@pytest.mark.parametrize("number", [MANY, "9" * 400, "9" * 10, "-1", "1.5", "²", "٣", ""], ids=lambda n: n[:9])
@pytest.mark.parametrize("problem", ["x", "content is required"])
def test_an_item_that_there_is_not_is_no_item_so_that_the_outcome_is_unknown(face, number, problem):
    text = json.dumps({"error": f"failed to create memory {number}: {problem}"})
    scripted = Scripted(face, json_response(500, text))
    result = scripted.client.memories.add_many(ITEMS)
    assert [outcome.status for outcome in result] == ["unknown"] * 3
    assert all(isinstance(outcome.error, MemtraceError) and outcome.error.maybe_applied for outcome in result)


@pytest.mark.parametrize("operation", ["one memory", "an agent"])
def test_such_a_text_in_answer_to_another_call_is_an_error_of_ours(face, operation):
    answer = json_response(500, json.dumps({"error": f"failed to create memory {MANY}: x"}))
    client = Scripted(face, answer).client
    with pytest.raises(MemtraceError) as caught:
        client.remember("a", "c") if operation == "one memory" else client.agents.register(name="n")
    assert caught.value.maybe_applied


YEAR = 366 * 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (MANY, YEAR),
        ("1" * 100_000, YEAR),
        ("Thu, 30 Dec 9999 23:59:59 GMT", YEAR),
        ("0" * 5_000 + "7", 7),
        ("1e5", None),
        ("-5", None),
        ("٣", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        (f"Mon, {MANY} Jan 2026 00:00:00 GMT", None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_retry_after_is_bounded(face, text, seconds):
    client = Scripted(face, Response(429, Headers({"retry-after": text}), b'{"error": "wait"}'), retry=ONCE).client
    with pytest.raises(RateLimitError) as caught:
        client.agents.list()
    assert caught.value.retry_after == seconds


ENDS = ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", 10**30]


def told_in_time_or_refused(call):
    """It has an end, or an error of the SDK."""
    try:
        call()
    except MemtraceError as error:
        return error
    return None


@pytest.mark.parametrize("time", ENDS)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_at_the_end_of_the_calendar_ends_the_reading(face, time, order):
    page = json_response(200, json.dumps({"memories": [row(time)] * 1000, "count": 1000, "has_more": True}))
    client = Scripted(face, *[page] * 3, retry=ONCE).client
    assert told_in_time_or_refused(lambda: list(client.memories.iter(order=order)))


@pytest.mark.parametrize("time", ENDS)
def test_a_write_at_the_end_of_the_calendar_is_not_waited_for(face, time):
    client = Scripted(face, json_response(201, json.dumps(row(time))), retry=ONCE).client
    error = told_in_time_or_refused(lambda: client.memories.add(agent_id="a", content="c", wait=True))
    assert error.maybe_applied


@pytest.mark.parametrize("field", ["count", "has_more"])
def test_a_count_of_very_many_digits_is_unreadable(face, field):
    answer = json_response(200, f'{{"memories": [], "count": 0, "has_more": false, "{field}": {MANY}}}')
    with pytest.raises(ResponseDecodeError):
        Scripted(face, answer, retry=ONCE).client.memories.list()
    with pytest.raises(ResponseDecodeError):
        answer.json()


AGENT = {"id": "agent_1", "org_id": "o", "name": "n"}
TAKEN = json_response(409, json.dumps({"error": "agent 'n' already exists in this organization"}))


@pytest.mark.parametrize(
    ("created", "is_own"),
    [("9999-12-31T23:59:59Z", True), ("0001-01-01T00:00:00Z", False), ("", False), (MANY, False), (5, False)],
    ids=lambda value: str(value)[:20],
)
def test_an_agents_time_at_the_end_of_the_calendar_is_compared(face, created, is_own):
    found = json_response(200, json.dumps({**AGENT, "created_at": created}))
    scripted = Scripted(face, broken(), TAKEN, found)
    if is_own:
        assert scripted.client.agents.register(name="n").id == "agent_1"
    else:
        with pytest.raises(ConflictError):
            scripted.client.agents.register(name="n")


@pytest.mark.parametrize("ours", [1, 10**400], ids=["a small one", "the same"])
def test_an_agents_number_that_is_no_float_is_compared(face, ours):
    found = json_response(
        200,
        json.dumps({**AGENT, "created_at": "9999-01-01T00:00:00Z", "config": {"n": 1}}).replace("1}", "9" * 400 + "}"),
    )
    with pytest.raises(ConflictError):
        Scripted(face, broken(), TAKEN, found).client.agents.register(name="n", config={"n": ours})


@pytest.mark.parametrize(
    "date",
    ["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 30 Dec 9999 23:59:59 GMT", f"Mon, 01 Jan {MANY} 00:00:00 GMT", MANY],
    ids=lambda text: text[:20],
)
def test_a_date_at_the_end_of_the_calendar_is_reckoned_with_or_left_out(face, date):
    nothing = dated(NOTHING, date)
    scripted = Scripted(face, broken(), nothing, nothing, CONFLICT, nothing)
    with pytest.raises(ConflictError):
        scripted.client.remember("a", "c")


def test_a_row_whose_time_is_no_time_is_not_taken_for_a_lost_one(face):
    undated = json_response(200, json.dumps({"memories": [row(MANY)]}))
    scripted = Scripted(
        face, broken(), json_response(200, '{"memories": []}'), undated, retry=RetryPolicy(max_attempts=2)
    )
    with pytest.raises(APIConnectionError) as caught:
        scripted.client.memories.add(agent_id="assistant", content="c", dedup_key="k")
    assert caught.value.maybe_applied
