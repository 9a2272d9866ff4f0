"""Planted secrets are found wherever a log record or an error may carry them."""

from __future__ import annotations

import logging

import pytest

from memtrace.testing._canaries import CONTENT, KEY, shown_in_error, shown_in_records


def record(message, *args, error=None, **extra):
    made = logging.getLogger("somebody").makeRecord(
        "somebody",
        logging.DEBUG,
        __file__,
        1,
        message,
        args,
        (type(error), error, None) if error else None,
        extra=extra,
    )
    return [made]


@pytest.mark.parametrize("secret", [KEY, CONTENT])
@pytest.mark.parametrize(
    "make",
    [
        record,
        lambda secret: record("%s", secret),
        lambda secret: record("no", field=[secret]),
        lambda secret: record("no", error=ValueError(secret)),
    ],
    ids=["message", "argument", "field", "error"],
)
def test_a_log_record_shows_it(make, secret):
    assert len(shown_in_records(make(secret))) == 1


def test_an_innocent_record_shows_none():
    assert shown_in_records(record("all is %s", "well", error=ValueError("so far"), field=1)) == []


def test_an_error_shows_it_in_its_text_and_in_its_causes():
    error = LookupError("no secret here")
    error.__cause__ = ValueError(KEY)
    assert shown_in_error(error) == ["LookupError: traceback"]
    assert shown_in_error(ValueError(CONTENT)) == [
        f"ValueError: {face}" for face in ("str", "repr", "args", "traceback")
    ]
