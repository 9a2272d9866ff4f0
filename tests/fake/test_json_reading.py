"""Bodies are read as Go's encoding/json reads them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace_transports._engine.go_json.reader import JsonObject, JsonSyntaxError, Number, _Scanner, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
JSON_LIKE = st.text('{}[]",:\\/bfnrtu0123456789abcdefE+-. \t\r\ntruefalsn\x00é', max_size=40).map(str.encode)

MESSAGES = [
    (b"", "unexpected end of JSON input"),
    (b"   ", "unexpected end of JSON input"),
    (b"{", "unexpected end of JSON input"),
    (b"[1", "unexpected end of JSON input"),
    (b'{"a"', "unexpected end of JSON input"),
    (b'{"a":', "unexpected end of JSON input"),
    (b'{"a":1', "unexpected end of JSON input"),
    (b'"abc', "unexpected end of JSON input"),
    (b'"\\u00e9', "unexpected end of JSON input"),
    (b"x", "invalid character 'x' looking for beginning of value"),
    (b"[,", "invalid character ',' looking for beginning of value"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"NaN", "invalid character 'N' looking for beginning of value"),
    (b"{1", "invalid character '1' looking for beginning of object key string"),
    (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 2}', "invalid character '2' after object key:value pair"),
    (b'{"a":1]', "invalid character ']' after object key:value pair"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b"[1}", "invalid character '}' after array element"),
    (b"{} x", "invalid character 'x' after top-level value"),
    (b"01", "invalid character '1' after top-level value"),
    (b"-", "invalid character ' ' in numeric literal"),
    (b"-x", "invalid character 'x' in numeric literal"),
    (b"1.", "invalid character ' ' after decimal point in numeric literal"),
    (b"1.e", "invalid character 'e' after decimal point in numeric literal"),
    (b"1e", "invalid character ' ' in exponent of numeric literal"),
    (b"1e+x", "invalid character 'x' in exponent of numeric literal"),
    (b"tru", "invalid character ' ' in literal true (expecting 'e')"),
    (b"[nulx]", "invalid character 'x' in literal null (expecting 'l')"),
    (b"fAlse", "invalid character 'A' in literal false (expecting 'a')"),
    (b'"\n"', r"invalid character '\n' in string literal"),
    (b'"\x01"', r"invalid character '\x01' in string literal"),
    (b'"\\x"', "invalid character 'x' in string escape code"),
    (b'"\\', "invalid character ' ' in string escape code"),
    (b'"\\u12g4"', r"invalid character 'g' in \u hexadecimal character escape"),
    (b"'a'", r"invalid character '\'' looking for beginning of value"),
    (b'{"a":1"', "invalid character '\"' after object key:value pair"),
    (b"\\", r"invalid character '\\' looking for beginning of value"),
    ("é".encode(), "invalid character 'Ã' looking for beginning of value"),
    (b"\x80", r"invalid character '\u0080' looking for beginning of value"),
    (b"\x7f", r"invalid character '\x7f' looking for beginning of value"),
    (b"[" * 10_001, "invalid character '[' exceeded max depth"),
]


@pytest.mark.parametrize(("body", "message"), MESSAGES, ids=[message for _, message in MESSAGES])
def test_what_is_no_json_is_refused_in_the_words_of_go(body: bytes, message: str) -> None:
    with pytest.raises(JsonSyntaxError) as caught:
        parse(body)
    assert str(caught.value) == message


def test_members_keep_their_order_and_repeats() -> None:
    assert parse(b'{"b": 1, "a": [true, false, null], "b": "x"}') == JsonObject(
        [("b", Number("1")), ("a", [True, False, None]), ("b", "x")]
    )


def test_each_byte_that_is_no_utf8_becomes_a_replacement_character() -> None:
    assert parse(b'"a\xff\xe6\x97 b"') == "a\ufffd\ufffd\ufffd b"
    assert parse(b'{"\xff": 1}') == JsonObject([("\ufffd", Number("1"))])


def test_half_a_surrogate_pair_in_a_name_becomes_a_replacement_character() -> None:
    assert parse(rb'{"\ud800": 1}') == JsonObject([("\ufffd", Number("1"))])
    assert parse(rb'"\ud83c\udf89"') == "🎉"


def test_ten_thousand_levels_are_read() -> None:
    value = parse(b"[" * 10_000 + b"]" * 10_000)
    depth = 0
    while isinstance(value, list) and value:
        value, depth = value[0], depth + 1
    assert depth == 9_999


@given(VALUES)
@settings(deadline=None)
def test_the_exact_reader_and_the_fast_one_agree_on_json(value: object) -> None:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert _Scanner(body).read() == parse(body)


@given(st.binary(max_size=30) | JSON_LIKE)
@settings(deadline=None, max_examples=5 * settings().max_examples)
def test_any_bytes_are_read_or_refused_and_both_readers_agree_which(body: bytes) -> None:
    try:
        expected = parse(body)
    except JsonSyntaxError as error:
        assert str(error)
    else:
        exact = _Scanner(body).read()
        assert isinstance(expected, str) or exact == expected
