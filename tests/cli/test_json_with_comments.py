"""A file of JSON with comments is changed at one place, and stays as it is written everywhere else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace._cli.json_with_comments import NotJsonError, append_item, parse, set_member

PATH = ["servers", "ours"]
ENTRY = {"command": "x", "args": ["a"]}
WRITTEN = '"ours": {\n      "command": "x",\n      "args": [\n        "a"\n      ]\n    }'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "servers": {\n    ' + WRITTEN + "\n  }\n}\n"),
        ("{\n}\n", '{\n  "servers": {\n    ' + WRITTEN + "\n  }\n}\n"),
        ('{\n  "a": 1 // one\n}\n', '{\n  "a": 1, // one\n  "servers": {\n    ' + WRITTEN + "\n  }\n}\n"),
        (
            '// top\n{\n  "servers": {\n    "b": {}, // it\n  },\n}',
            '// top\n{\n  "servers": {\n    "b": {}, // it\n    ' + WRITTEN + ",\n  },\n}",
        ),
        (
            '{\n  "servers": {\n    /* none */\n  },\n  "z": "//{"\n}\n',
            '{\n  "servers": {\n    /* none */\n    ' + WRITTEN + '\n  },\n  "z": "//{"\n}\n',
        ),
        (
            '{\n  "servers": {\n    "ours": {"command": "old"}, // keep\n    "b": 2\n  }\n}\n',
            '{\n  "servers": {\n    ' + WRITTEN + ', // keep\n    "b": 2\n  }\n}\n',
        ),
        ('{"servers":{"b":1}}', '{"servers":{"b":1,"ours": {"command": "x", "args": ["a"]}}}'),
    ],
)
def test_only_the_member_changes(before, after):
    assert set_member(before, PATH, ENTRY) == after


def test_tabs_and_line_ends_are_those_of_the_file():
    before = '{\r\n\t"servers": {\r\n\t\t"b": 1\r\n\t}\r\n}\r\n'
    after = set_member(before, PATH, {"command": "x"})
    assert after == before.replace('"b": 1', '"b": 1,\r\n\t\t"ours": {\r\n\t\t\t"command": "x"\r\n\t\t}')


@pytest.mark.parametrize(
    "comment",
    ["/*\n * License\n */\n", "    // top\n", "/* a\n      b */ ", "   /* a */ "],
)
@pytest.mark.parametrize(
    ("inside", "unit"),
    [
        ('\n\t"b": 1\n', "\t"),
        ('\n    /* note\n     * more */\n  "b": 1\n', "  "),
        ('\n/* note */ "b": 1,\n   "c": 2\n', "   "),
        ("\n    // none\n", "    "),
        ("\n", "  "),
    ],
)
def test_the_indentation_is_that_of_the_members_and_not_of_comments(comment, inside, unit):
    after = set_member(f"{comment}{{{inside}}}\n", ["ours"], {"x": 1})
    assert after.endswith(f'\n{unit}"ours": {{\n{unit * 2}"x": 1\n{unit}}}\n}}\n')


@pytest.mark.parametrize("comment", ["// top\n", "/* a\n b */\n"])
def test_one_line_after_a_comment_stays_one(comment):
    assert set_member(comment + '{"b": 1}\n', ["ours"], {"x": 1}) == comment + '{"b": 1,"ours": {"x": 1}}\n'


def test_odd_characters_are_written_as_they_are_and_half_ones_as_escapes():
    assert '"ü": 1' in set_member("{\n}", ["ü"], 1)
    assert r'"\ud800"' in set_member("{\n}", ["a"], "\ud800")


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("{", "it is not JSON in line 1"),
        ('{"a": 1}}', "it is not JSON in line 1"),
        ('{"a": /* cut', "it is not JSON"),
        ('{"a": NaN}', "it is not JSON"),
        ("[]", "no object that could have servers"),
        ('{"servers": []}', "no object that could have ours"),
        ('{"servers": null}', "no object that could have ours"),
        ("{'servers': {}}", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(before, told):
    with pytest.raises(NotJsonError, match=told):
        set_member(before, PATH, ENTRY)


def test_of_a_name_that_is_there_twice_the_one_that_counts_is_changed():
    before = '{"servers": {"b": 1}, "servers": {"c": 1}}'
    assert parse(set_member(before, PATH, 1)) == {"servers": {"c": 1, "ours": 1}}
    assert parse(set_member('{"servers": {"ours": 1, "ours": 2}}', PATH, 3)) == {"servers": {"ours": 3}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{\n  "x": 1\n}\n', '{\n  "x": 1,\n  "inputs": [\n    1\n  ]\n}\n'),
        ('{\n  "inputs": [\n    0, // zero\n  ]\n}\n', '{\n  "inputs": [\n    0, // zero\n    1,\n  ]\n}\n'),
        ('{"inputs":[]}', '{"inputs":[1]}'),
    ],
)
def test_an_item_is_appended_to_a_list(before, after):
    assert append_item(before, "inputs", 1) == after


def test_an_item_is_not_appended_to_what_is_no_list():
    with pytest.raises(NotJsonError, match="inputs is not a list"):
        append_item('{"inputs": {}}', "inputs", 1)


def test_a_change_that_alters_anything_else_is_never_made(monkeypatch):
    monkeypatch.setattr("memtrace._cli.json_with_comments._edited", lambda text, path, value: "{}")
    with pytest.raises(NotJsonError, match="its form is not known"):
        set_member('{"a": 1}', PATH, ENTRY)


NAMES = st.sampled_from(["servers", "ours", "a", "//", 'q"', "ü", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
SPACES = st.sampled_from(["", " ", "\n", "\r\n\t", " // c\n", "/* } , */", "\n  /* \n */ "])


@st.composite
def written(draw, value):
    """A value as JSON with comments anywhere, and trailing commas."""
    space = lambda: draw(SPACES)  # noqa: E731
    if not isinstance(value, (dict, list)):
        return json.dumps(value)
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}{space()}:{space()}{draw(written(each))}" for name, each in value.items()]
    else:
        parts = [draw(written(each)) for each in value]
    inner = ",".join(f"{space()}{part}{space()}" for part in parts)
    comma = "," if parts and draw(st.booleans()) else ""
    open_, close = "{}" if isinstance(value, dict) else "[]"
    return f"{open_}{inner}{comma}{space()}{close}"


@given(data=st.data(), document=DOCUMENTS, value=VALUES)
def test_any_file_means_what_it_did_with_the_member_in_it(data, document, value):
    text = data.draw(SPACES) + data.draw(written(document)) + data.draw(SPACES)
    assert parse(text) == document
    servers = document.get("servers", {})
    if not isinstance(servers, dict):
        with pytest.raises(NotJsonError):
            set_member(text, PATH, value)
        return
    changed = set_member(text, PATH, value)
    assert parse(changed) == {**document, "servers": {**servers, "ours": value}}
    comments = [part for part in ("// c", "/* } , */", "/* \n */") for _ in range(text.count(part))]
    assert all(changed.count(part) >= comments.count(part) - text.count('"ours"') * 9 for part in comments)
