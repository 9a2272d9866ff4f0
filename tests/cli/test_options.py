"""What the options of all commands have in common."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("tail", "--type", "a", "--type", "b"), "--type"),
        (("export", "x", "--agent", "a", "--agent", "a"), "--agent"),
        (("search", "q", "--since", "1h", "--since=2h"), "--since"),
        (("profiles", "add", "x", "--base-url", "http://a", "--base-url", "http://b"), "--base-url"),
        (("agents", "-p", "a", "--profile", "b"), "--profile"),
    ],
)
def test_an_option_of_one_value_is_refused_where_it_is_given_twice(invoke, arguments, option):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert f"'{option}" in result.output
    assert "it has one value, and is given twice" in result.output


@pytest.mark.parametrize(
    "arguments",
    [("filter", "--tag", "a", "--tag", "b", "--type", "a", "--type", "b"), ("search", "q", "--json", "--json")],
)
def test_an_option_of_many_values_or_none_may_be_repeated(invoke, arguments):
    assert "given twice" not in invoke(*arguments).output


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (command, option)
        for command in (("search", "q"), ("filter",), ("tail",), ("export", "x"), ("sessions",))
        for option in ("--agent", "--session")
        if (command, option) != (("sessions",), "--session")
    ],
)
def test_an_empty_id_does_not_stand_for_everyone(invoke, command, option):
    result = invoke(*command, option, "")
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': it is empty" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ("remember", "a", "b"),
        ("recall", "a"),
        ("export", "x"),
        ("import", "x"),
        ("doctor",),
        ("mcp", "--agent", "a"),
        ("profiles", "add", "x"),
    ],
)
def test_the_address_is_given_as_base_url_and_by_no_other_name(invoke, command):
    assert "--base-url URL" in " ".join(invoke(*command, "--help").output.split())
    result = invoke(*command, "--url", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "No such option: --url" in result.output
