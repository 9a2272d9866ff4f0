"""The SDK's errors in the console's words."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import memtrace._cli
from memtrace import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    MemtraceError,
    PayloadTooLargeError,
    RequestInfo,
)
from memtrace._cli.messages import advice_of, item_problem_of, problem_of, redacted, text_of
from memtrace.middleware import _errors as errors
from memtrace.operations._time_bounds import LOOKBACK_RULE, PYTHON_LOOKBACK_RULE, TIME_RULE, WRITTEN_TIME_RULE
from memtrace.operations._validation import invalid

SOURCES = {"base_url": "--base-url", "api_key": "the keyring", "timeout": ""}


@pytest.mark.parametrize(
    "hint", [errors._RATE_LIMIT_HINT, errors._STORAGE_DOWN_HINT, errors._NO_STORAGE_HINT, errors._TOO_LARGE_HINT]
)
def test_a_hint_of_the_server_and_what_is_before_it_names_nothing_of_python(hint):
    for python in ("client.", "=", "(...", "RetryPolicy"):
        assert python not in hint


def test_an_argument_of_the_client_is_told_by_where_the_console_has_it_from():
    error = AuthenticationError("invalid API key", hint="check the API key", argument="api_key")
    assert text_of(error, SOURCES) == "invalid API key Hint: check the API key (from the keyring)"
    assert advice_of(error, SOURCES) == "check the API key (from the keyring)"


def test_an_argument_that_the_console_does_not_have_is_left_out():
    error = ConfigurationError("too many", argument="retry")
    assert (
        text_of(error, SOURCES)
        == "too many (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/configuration.md)"
    )
    assert advice_of(error, SOURCES) is None
    error.argument = "timeout"
    assert advice_of(error, SOURCES) is None
    error.argument = "base_url"
    assert advice_of(error, SOURCES) == "from --base-url"


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (invalid("since", "a time"), "--since must be a time: the server accepts nothing else"),
        (invalid("tags[1]", "short", "it is"), "--tag must be short: it is"),
        (invalid("since", TIME_RULE, "in Python"), f"--since must be {WRITTEN_TIME_RULE}"),
        (invalid("since", PYTHON_LOOKBACK_RULE, "in Python"), f"--since must be {LOOKBACK_RULE}"),
        (invalid("agent_id", "short", "it is"), "agent_id must be short: it is"),
        (InvalidRequestError("invalid tag", 400, field="tags"), "invalid tag"),
        (InvalidRequestError("something else", 400), "something else"),
        (MemtraceError("storage is full"), "storage is full"),
    ],
)
def test_a_wrong_argument_of_a_call_is_told_by_its_option(error, problem):
    assert problem_of(error) == problem
    assert text_of(error, {}).startswith(problem)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (
            InvalidRequestError(
                "memories[3].tags[0] must be x", field="memories[3].tags[0]", rule="x", problem="must be x"
            ),
            "tags[0] must be x",
        ),
        (
            PayloadTooLargeError("the request body has 5 bytes", 0, argument="memories[3]"),
            "the request body has 5 bytes",
        ),
        (InvalidRequestError("invalid tag", 500, field="memories[3].tags"), "invalid tag"),
    ],
)
def test_a_memory_of_a_batch_is_told_without_its_place_there(error, problem):
    assert item_problem_of(error) == problem


@pytest.mark.parametrize(
    ("operation", "hint"),
    [
        ("memories.add", "memtrace-sdk recall AGENT"),
        ("memories.list", "memtrace-sdk recall AGENT"),
        ("memories.add_many", "import it again"),
        ("sessions.close", "the SDK's own"),
    ],
)
def test_after_a_write_that_may_be_stored_the_hint_is_a_command(operation, hint):
    error = MemtraceError("gone", hint="the SDK's own")
    error.request = RequestInfo("POST", "/", operation)
    assert advice_of(error, {}) == "the SDK's own"
    error.maybe_applied = True
    assert hint in advice_of(error, {})


def test_a_search_that_cannot_go_on_is_told_with_the_consoles_options():
    error = InvalidRequestError("too many", code="result_window_exceeded", hint="narrow it by agent_id")
    assert "--agent" in text_of(error, {})
    assert "agent_id" not in text_of(error, {})


def test_a_key_that_a_server_repeats_is_shown_as_stars():
    assert redacted("no key mtk_1 here, mtk_12 is another", "mtk_1") == "no key *** here, mtk_12 is another"
    assert redacted("no key mtk_1 here", None) == "no key mtk_1 here"


def test_every_option_that_a_message_names_is_one_of_the_console():
    from typer.main import get_command

    from memtrace._cli import messages
    from memtrace._cli.app import app
    from tests.cli.test_exit_status import options

    known = set(options(get_command(app)))
    assert {option for option in messages._OPTIONS.values() if option.startswith("-")} <= known


@pytest.mark.slow
def test_no_module_of_the_console_rewrites_a_message():
    """Neither by replacement nor by a pattern: only the key is struck out."""
    found = {
        path.name
        for path in Path(memtrace._cli.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("replace", "sub", "removeprefix", "removesuffix")
        and any("message" in ast.dump(part) or "text" in ast.dump(part) for part in (node.func, *node.args))
    }
    assert found == {"messages.py"}
