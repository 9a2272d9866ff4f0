"""Numbers and free-form objects come back as Go writes them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace_transports._engine.go_json.reader import JsonObject, parse
from memtrace_transports._engine.go_json.writer import RawJson, compact_object, float_text, write
from tests.fake.test_json_reading import VALUES

FORMS = [
    (0.0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (-2.5, "-2.5"),
    (100.0, "100"),
    (0.1, "0.1"),
    (0.000001, "0.000001"),
    (0.0000015, "0.0000015"),
    (0.00000099, "9.9e-7"),
    (1e-9, "1e-9"),
    (float(2**53 + 1), "9007199254740992"),
    (12345678901234567890.0, "12345678901234567000"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (-1.5e300, "-1.5e+300"),
]


@pytest.mark.parametrize(("number", "text"), FORMS, ids=[text for _, text in FORMS])
def test_numbers_have_the_shortest_form_of_go(number: float, text: str) -> None:
    assert float_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value(number: float) -> None:
    assert float(float_text(number)) == number


def test_keys_are_sorted_and_the_last_of_a_repeated_one_counts() -> None:
    body = parse('{"b": {"y": 1.0, "x": [], "y": 2}, "a": [1, {"c": null}, true, false], "é": "\\ud800"}'.encode())
    assert isinstance(body, JsonObject)
    assert compact_object(dict(body.pairs)) == '{"a":[1,{"c":null},true,false],"b":{"x":[],"y":2},"é":"\ufffd"}'


def test_an_empty_object_is_no_text() -> None:
    assert compact_object({}) == ""


def test_answers_are_written_member_by_member() -> None:
    assert write({"n": 1, "f": 0.5, "b": [True, False], "s": 'q"', "r": RawJson('{"x":1}')}) == (
        '{"n":1,"f":0.5,"b":[true,false],"s":"q\\"","r":{"x":1}}'
    )


def as_go_keeps_it(value: object) -> object:
    """JSON after a round trip through float64; half pairs are U+FFFD."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    if isinstance(value, list):
        return [as_go_keeps_it(item) for item in value]
    if isinstance(value, dict):
        return {as_go_keeps_it(name): as_go_keeps_it(item) for name, item in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(st.dictionaries(st.text(), VALUES, max_size=4))
@settings(deadline=None)
def test_a_free_form_object_survives(value: dict[str, object]) -> None:
    body = parse(json.dumps(value).encode())
    assert isinstance(body, JsonObject)
    assert json.loads(compact_object(dict(body.pairs)) or "{}", parse_int=float) == as_go_keeps_it(value)
