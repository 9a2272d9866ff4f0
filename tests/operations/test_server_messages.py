"""What the server's texts say, and that one module alone reads them."""

from __future__ import annotations

import ast
import json
import re
import time
from pathlib import Path

import pytest

import memtrace
from memtrace import NoArcInstanceError, ResponseDecodeError
from memtrace.operations import _server_messages as messages
from memtrace.operations._server_messages import ErrorMessage, RefusedArgument
from memtrace.transport import Headers, Response

ROOT = Path(memtrace.__file__).parent

#: What the real server says, by the pieces that tell one text from another.
PHRASES = re.compile(
    r"failed to (create|query|search|list)|duplicate memory|(agent|memory|session) not found|already exists in this org"
    r"|(agent_id|content|name|\\w\+\)) is required|(invalid|missing) API key|no arc instance|^arc instance$|FOREIGN KEY|cannot unmarshal"
    r"|invalid (agent_id|session_id|memory_type|event_type|tag|include_type|request body|ID format|timestamp field)"
    r"|\(\?P<invalid>|timestamp field|could not convert string|conver\(\?:|must be alphanumeric|LINE \\d|format: $",
    re.IGNORECASE,
)


def docstrings(tree):
    """The constants that are documentation, those under an attribute among them."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def texts_of(path):
    """Every text and every bytes of a module but for its documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    written = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and id(node) not in written:
            yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")


@pytest.mark.slow
def test_no_other_module_holds_a_text_of_the_server():
    found = {
        (path.relative_to(ROOT).as_posix(), text)
        for path in sorted(ROOT.rglob("*.py"))
        if path != Path(messages.__file__)
        for text in texts_of(path)
        if PHRASES.search(text)
    }
    assert found == {
        ("exceptions.py", NoArcInstanceError().message),  # 0.2.0's default, which is raised and not read
        ("exceptions.py", "Invalid or missing API key"),
    }


def test_the_phrases_are_those_that_the_module_reads():
    assert len([text for text in texts_of(Path(messages.__file__)) if PHRASES.search(text)]) > 8


# ---- reading a failed response


def answered(status, content):
    return Response(status, body=content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"error": "agent not found"}, ErrorMessage("agent not found", None, is_from_server=True)),
        ({"error": "down", "hint": "call us"}, ErrorMessage("down", "call us", is_from_server=True)),
        ({"error": "down", "hint": ""}, ErrorMessage("down", None, is_from_server=True)),
        ({"error": "down", "hint": 5}, ErrorMessage("down", None, is_from_server=True)),
        ({"error": "x" * 3000}, ErrorMessage("x" * 2000 + "…", None, is_from_server=True)),
        ({"detail": "Not Found"}, ErrorMessage("HTTP 404")),
        ([], ErrorMessage("HTTP 404")),
        (b"Cannot GET /x", ErrorMessage("Cannot GET /x")),
        (b"Cannot GET /api/v1/memories/planted", ErrorMessage("Cannot GET /api/v1/memories/REDACTED")),
        (b"", ErrorMessage("HTTP 404")),
    ],
)
def test_the_error_of_a_response_is_the_servers_own_or_else_what_came(content, message):
    assert messages.read_error(answered(404, content)) == message


def test_what_was_searched_for_is_cut_off():
    text = "Binder Error: no such column\\n\\nLINE 1: ... content LIKE '%planted%'"
    assert messages.read_error(answered(500, {"error": text})).text == "Binder Error: no such column"


# ---- arguments


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("agent_id is required", RefusedArgument("agent_id", "required")),
        ("invalid memory_type: opinion", RefusedArgument("memory_type", "one of episodic, session, decision, entity")),
        ("invalid tag 'a b': invalid tag format: max 64", RefusedArgument("tags", "max 64")),
        ("invalid include_type 'X Y': invalid type format: max 64", RefusedArgument("include_types", "max 64")),
        ("invalid event_type", RefusedArgument("event_type")),
        ("failed to create memory 3: content is required", RefusedArgument("content", "required", 3)),
        ("failed to create memory 3: disk full", None),
        ("invalid request body: unexpected end of JSON input", None),
        ("", None),
    ],
)
def test_a_refused_argument_has_a_name_a_rule_and_a_place(text, refused):
    assert messages.refused_argument(text) == refused


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("failed to create memory 0: disk full", 0),
        ("failed to create memory 12: content is required", 12),
        ("failed to create memory ²: content is required", None),
        ("failed to create memory 1234567890: content is required", None),
        ("failed to create memory: content is required", None),
        ("failed to create session: FOREIGN KEY constraint failed", None),
        ("it failed to create memory 1: x", None),
    ],
)
def test_the_refused_item_of_a_batch_has_a_place(text, item):
    assert messages.refused_item(text) == item


# ---- what is there


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("agent not found", "agent"),
        ("memory not found", "memory"),
        ("session not found", "session"),
        ("Not Found", None),
    ],
)
def test_what_was_not_found_has_a_kind(text, resource):
    assert messages.missing_resource(text) == resource


def test_a_duplicate_is_one_text_and_a_foreign_key_a_part_of_several():
    assert messages.is_duplicate_memory("duplicate memory")
    assert not messages.is_duplicate_memory("a duplicate memory")
    assert messages.is_foreign_key_violation("failed to create session: FOREIGN KEY constraint failed")
    assert not messages.is_foreign_key_violation("agent not found")


# ---- storage


@pytest.mark.parametrize(
    ("text", "is_storage"),
    [
        ("failed to query memories: failed to query Arc: dial tcp: connection refused", True),
        ("failed to query memories: Arc query failed (status 500): Out of Memory", True),
        ("failed to query memories: Arc query failed: Conversion Error: invalid timestamp field format", False),
        ("failed to query memories: Arc query failed: could not convert string '1w' to TIMESTAMP", False),
        ("boom", False),
    ],
)
def test_a_storage_that_failed_is_told_from_one_that_could_not_read_an_argument(text, is_storage):
    assert messages.is_storage_failure(text) is is_storage


def test_an_organisation_without_storage_is_told_in_any_letter_case():
    assert messages.is_missing_storage("No Arc Instance configured")
    assert not messages.is_missing_storage("Arc does not answer")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('Conversion Error: invalid timestamp field format: "abc", expected', "abc"),
        ('timestamp field value out of range: \\"2020-13-01\\", expected', "2020-13-01"),
        ("could not convert string '1w' to TIMESTAMP", "1w"),
        ("could not convert string '' to TIMESTAMP", ""),
        ("Out of Memory", None),
    ],
)
def test_a_time_that_the_storage_could_not_read_is_given(text, value):
    assert messages.unreadable_time(text) == value


@pytest.mark.parametrize("line_end", ["\n", "\\n"])
def test_a_text_of_line_ends_is_read_in_a_time_that_grows_as_it_does(line_end):
    """Counted, not timed: the pattern is tried once at each line end, and nothing is tried again."""
    text = "Binder Error" + line_end * 400_000 + "x"
    assert messages.read_error(Response(500, body=json.dumps({"error": text}).encode())).text.startswith("Binder Error")
    cut = messages.read_error(
        Response(500, body=json.dumps({"error": f"Binder{line_end * 400_000}LINE 1: planted"}).encode())
    )
    assert cut.text == "Binder"


@pytest.mark.parametrize(
    "unit", ["\\", "\n", '"', "'", "[", "LINE 1: ", "could not convert string '", "/api/v1/memories/", "//", "9"]
)
def test_an_error_of_a_megabyte_is_read_in_a_time_that_grows_as_it_does(unit):
    def cost(size):
        text = unit * (size // len(unit))
        began = time.process_time()
        for body in (json.dumps({"error": text, "hint": text}), json.dumps({"error": f"invalid tag: {text}"}), text):
            said = messages.read_error(Response(500, body=body.encode()))
            messages.refused_argument(said.text)
            messages.unreadable_time(said.text)
            messages.is_storage_failure(said.text)
        return time.process_time() - began

    assert min(cost(1_000_000) for _ in range(2)) < 50 * max(cost(100_000), 0.02)  # a square would be a hundred times


def test_a_text_of_a_server_is_escaped_and_can_always_be_encoded():
    hostile = "red \x1b[31m\r\nforged line \u202e half \ud800"
    for body in (json.dumps({"error": hostile, "hint": hostile}), hostile.replace("\ud800", "")):
        said = messages.read_error(Response(500, body=body.encode()))
        for text in filter(None, (said.text, said.hint)):
            assert text.isprintable()
            assert "forged line" in text
            text.encode()


def test_a_content_type_of_a_server_is_cut_and_escaped():
    response = Response(200, Headers({"content-type": "x" * 5000 + "\x1b"}), b"no JSON")
    with pytest.raises(ResponseDecodeError) as caught:
        response.json()
    assert len(caught.value.message) < 300
    escaped = Response(200, Headers({"content-type": "a\x1b[31m"}), b"no JSON")
    with pytest.raises(ResponseDecodeError, match=r"\(a\\x1b\[31m\)"):
        escaped.json()
