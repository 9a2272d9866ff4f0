"""What the options of all commands have in common."""

from __future__ import annotations

import pytest
from typer.main import get_command

from memtrace._cli.app import app


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


def parameters():
    """Each command's words, and a parameter of it; groups are gone through."""

    def walk(command, words):
        for name, each in getattr(command, "commands", {}).items():
            yield from walk(each, (*words, name))
        if words and (not hasattr(command, "commands") or command.invoke_without_command):
            yield from ((words, parameter) for parameter in command.params)

    return list(walk(get_command(app), ()))


OPTIONS = [
    (words, max(parameter.opts, key=len))
    for words, parameter in parameters()
    if parameter.param_type_name == "option" and not parameter.is_flag and parameter.name != "help"
]
TAKEN_EMPTY = [(("mcp",), "--prefix")]


@pytest.mark.parametrize(("words", "option"), [each for each in OPTIONS if each not in TAKEN_EMPTY])
def test_an_option_that_an_unset_variable_left_empty_is_refused_by_every_command(invoke, words, option):
    result = invoke(*words, option, "")
    assert result.exit_code == 2
    assert f"'{option}" in result.output
    assert "it is empty, as an unset variable leaves it: " in result.output


def test_an_option_whose_default_is_empty_may_be_so(invoke):
    assert [
        (words, parameter.opts[0])
        for words, parameter in parameters()
        if parameter.param_type_name == "option" and parameter.default == ""
    ] == TAKEN_EMPTY
    assert "it is empty" not in invoke("mcp", "--agent", "a", "--prefix", "", stdin="").output


@pytest.mark.parametrize("command", [("filter", ""), ("agents", ""), ("sessions", ""), ("stats", "a", "")])
def test_an_argument_that_may_be_left_out_is_not_left_out_by_being_empty(invoke, command):
    result = invoke(*command)
    assert result.exit_code == 2
    assert "it is empty, as an unset variable leaves it: leave it out, or give a value" in result.output


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
