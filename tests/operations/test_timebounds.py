from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import InvalidRequestError
from memtrace.operations._time_bounds import to_absolute, to_lookback, to_moment, to_query


class Noon:
    """A clock that stands still at 2026-01-31T12:00:00Z."""

    def wall(self):
        return datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp()


NOON = Noon()


@pytest.mark.parametrize(
    "text",
    [
        "1h",
        "24h",
        "8760h",
        "365d",
        "1m",
        "8760m",
        "01h",
        "00024h",
        "+24h",
        "+07d",
        "2020-01-01",
        "2020-1-1",
        "2020-01-01 00:00:00",
    ]
    + ["2020-01-01T00:00:00", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00+05:00", "2020-01-01T00:00:00.123456789Z"],
)
def test_texts_that_the_server_reads_are_sent_as_they_are(text):
    assert to_query(text, "since", NOON) == text


@pytest.mark.parametrize(
    "text",
    [
        "1.5h",
        "1w",
        "30s",
        "1H",
        "0h",
        "366d",
        "8761m",
        "8761h",
        "20200101",
        "2020-01-01T00:00Z",
        "now",
        "h",
        "-1h",
        "++1h",
        "+0h",
        "+",
        "+ 1h",
        "+366d",
        " 1h",
    ]
    + [
        "1h ",
        "1",
        "abc",
        "2020-13-01",
        "2020-02-30",
        "0000-01-01",
        "20200-01-01",
        "2020-01-01T24:00:00",
        "2020-01-01 00:00:60",
        "2020-01-01 0:00:00",
        "2020-01-32",
        "2020-00-10",
        "2020-01-01T25:00:00Z",
        "١h",
        "99999999999999999999h",
    ],
)
def test_texts_that_the_server_cannot_read_are_refused(text):
    with pytest.raises(InvalidRequestError, match="until") as caught:
        to_query(text, "until", NOON)
    assert caught.value.field == "until"
    assert "timestamp" in caught.value.rule
    assert caught.value.status_code == 0


@pytest.mark.parametrize("empty", [None, ""])
def test_nothing_given_is_no_bound(empty):
    assert to_query(empty, "since", NOON) is None
    assert to_lookback(empty, "since", NOON) is None


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (timedelta(days=1), "1d"),
        (timedelta(days=365), "365d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(minutes=8760), "146h"),
        (timedelta(seconds=90), "2026-01-31T11:58:30Z"),
        (timedelta(0), "2026-01-31T12:00:00Z"),
        (timedelta(days=366), "2025-01-30T12:00:00Z"),
        (timedelta(microseconds=1), "2026-01-31T11:59:59.999999Z"),
        (timedelta(minutes=8761), "2026-01-25T09:59:00Z"),
    ],
)
def test_a_timedelta_is_a_look_back_where_one_says_the_same_and_else_a_timestamp(delta, text):
    assert to_query(delta, "since", NOON) == text


def test_an_aware_datetime_is_sent_in_utc():
    value = datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=timezone(timedelta(hours=2)))
    assert to_query(value, "since", NOON) == "2026-01-31T10:00:00.250000Z"


@pytest.mark.parametrize("convert", [to_query, to_lookback])
def test_a_naive_datetime_is_refused_with_the_reason(convert):
    with pytest.raises(InvalidRequestError, match="naive datetime.*timezone.utc"):
        convert(datetime(2026, 1, 1), "since", NOON)


@pytest.mark.parametrize(
    "bound",
    [
        timedelta(days=999_999),
        timedelta.max,
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_what_lies_outside_the_calendar_is_refused(bound):
    with pytest.raises(InvalidRequestError, match="from the year 1 to the year 9999"):
        to_query(bound, "since", NOON)
    with pytest.raises(InvalidRequestError):
        to_lookback(bound, "since", NOON)


@pytest.mark.parametrize("convert", [to_query, to_lookback])
def test_a_negative_timedelta_is_refused(convert):
    with pytest.raises(InvalidRequestError, match="future"):
        convert(timedelta(seconds=-1), "since", NOON)


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        ("24h", "24h"),
        (timedelta(0), "1m"),
        (timedelta(seconds=1), "1m"),
        (timedelta(seconds=90), "2m"),
        (timedelta(minutes=8760), "8760m"),
        (timedelta(minutes=8760, seconds=1), "147h"),
        (timedelta(days=365), "8760h"),
        (datetime(2026, 1, 31, 11, 59, 30, tzinfo=timezone.utc), "1m"),
        (datetime(2026, 1, 1, tzinfo=timezone.utc), "732h"),
    ],
)
def test_where_only_a_look_back_works_times_are_rounded_up(bound, text):
    assert to_lookback(bound, "since", NOON) == text


@pytest.mark.parametrize("text", ["2020-01-01", "2020-01-01T00:00:00Z", "abc", "0h", "366d"])
def test_where_only_a_look_back_works_other_texts_are_refused(text):
    with pytest.raises(InvalidRequestError, match="silently take 24 hours"):
        to_lookback(text, "since", NOON)


def test_a_look_back_of_more_than_a_year_is_refused():
    with pytest.raises(InvalidRequestError, match="365 days"):
        to_lookback(timedelta(days=365, seconds=1), "since", NOON)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365)))
def test_a_look_back_never_leaves_out_what_was_asked_for(delta):
    text = to_lookback(delta, "since", NOON)
    unit = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[text[-1]]
    assert delta <= int(text[:-1]) * unit
    assert int(text[:-1]) * unit - delta <= timedelta(hours=1) or delta == timedelta(0)


@given(st.text(max_size=30))
def test_any_text_is_sent_unchanged_or_refused(text):
    for convert in (to_query, to_lookback):
        try:
            assert convert(text, "since", NOON) == (text or None)
        except InvalidRequestError as error:
            assert error.field == "since"


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        ("24h", "2026-01-30T12:00:00Z"),
        ("007d", "2026-01-24T12:00:00Z"),
        ("30m", "2026-01-31T11:30:00Z"),
        (timedelta(days=1), "2026-01-30T12:00:00Z"),
        (timedelta(seconds=1), "2026-01-31T11:59:59Z"),
        (datetime(2026, 1, 1, tzinfo=timezone.utc), "2026-01-01T00:00:00Z"),
        ("2026-01-01", "2026-01-01"),
        ("", None),
        (None, None),
    ],
)
def test_a_bound_that_stands_still_is_a_point_in_time(bound, text):
    assert to_absolute(bound, "since", NOON) == text


def test_a_bound_that_the_server_cannot_read_cannot_stand_still_either():
    with pytest.raises(InvalidRequestError, match="until must be"):
        to_absolute("1w", "until", NOON)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-1-2", datetime(2020, 1, 2)),
        ("2020-01-02T03:04:05", datetime(2020, 1, 2, 3, 4, 5)),
        ("2020-01-02 03:04:05.123456789Z", datetime(2020, 1, 2, 3, 4, 5, 123456)),
        ("2020-01-02T03:04:05.5+05", datetime(2020, 1, 1, 22, 4, 5, 500000)),
        ("2020-01-02T03:04:05-05:30", datetime(2020, 1, 2, 8, 34, 5)),
        ("2020-01-02T03:04:05+0530", datetime(2020, 1, 1, 21, 34, 5)),
        ("36h", datetime(2026, 1, 30)),
        (timedelta(hours=1), datetime(2026, 1, 31, 11)),
        (datetime(2020, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), datetime(2020, 1, 2, 1)),
    ],
)
def test_a_bound_as_a_moment_is_the_one_that_is_sent(text, expected):
    assert to_moment(text, "since", NOON) == expected.replace(tzinfo=timezone.utc)


def test_no_bound_is_no_moment_and_one_outside_of_the_calendar_is_refused():
    assert to_moment(None, "since", NOON) is to_moment("", "since", NOON) is None
    with pytest.raises(InvalidRequestError, match="its zone leads out of it") as caught:
        to_moment("0001-01-01T00:00:00+05:00", "until", NOON)
    assert caught.value.field == "until"


@pytest.mark.parametrize("convert", [to_query, to_lookback])
@pytest.mark.parametrize("text", ["24 hours", "yesterday", "1w", "90s", "now"])
def test_the_error_of_a_time_in_words_shows_forms_that_work(convert, text):
    with pytest.raises(InvalidRequestError) as caught:
        convert(text, "since", NOON)
    shown = str(caught.value)
    assert "'24h', '7d', '30m'" in shown
    assert "timedelta" in shown
    for form in re.findall(r"'([0-9]+[hdm])'", shown):
        assert convert(form, "since", NOON) == form
