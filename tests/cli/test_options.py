"""What the options of all commands have in common."""

from __future__ import annotations

import pytest
from typer.main import get_command

from memtrace._cli.app import app
from memtrace.clock import SystemClock


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
        if words and not hasattr(command, "commands"):
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


WITH_A_PLACE = [
    (words, option)
    for words, parameter in parameters()
    for option in parameter.opts
    if option in ("--store", "--base-url")
]


@pytest.mark.parametrize(
    ("words", "option"), WITH_A_PLACE, ids=lambda part: part if isinstance(part, str) else "-".join(part)
)
@pytest.mark.parametrize("has_both", [False, True])
def test_the_option_of_other_commands_that_names_a_store_is_refused_with_the_right_one(
    invoke, tmp_path, words, option, has_both
):
    other = {"--store": "--base-url", "--base-url": "--store"}[option]
    right = [option, f"sqlite:///{tmp_path}/right.db"] if has_both else []
    result = invoke(*words, *right, other, f"sqlite:///{tmp_path}/other.db")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"memtrace-sdk: this command has no {other}: use {option}, which ")
    assert list(tmp_path.glob("*.db")) == []


def test_no_command_has_both_options_and_one_with_neither_knows_neither(invoke):
    assert len({words for words, _ in WITH_A_PLACE}) == len(WITH_A_PLACE) > 20
    assert "No such option: --store" in invoke("transports", "--store", "x").stderr


@pytest.mark.parametrize("variable", ["MEMTRACE_BASE_URL", "MEMTRACE_PROFILE"])
@pytest.mark.parametrize("command", [("recall", "a"), ("stats", "a"), ("agents",), ("filter",), ("doctor",), ("tail",)])
def test_the_base_url_of_an_option_counts_and_not_that_of_the_environment(
    invoke, environment, tmp_path, command, variable
):
    invoke("remember", "a", "of the option", "--base-url", f"sqlite:///{tmp_path}/right.db")
    environment.setenv(variable, f"sqlite:///{tmp_path}/missing/other.db")
    if command == ("tail",):
        environment.setattr("memtrace.clock.SystemClock", _Interrupting)
    result = invoke(*command, "--base-url", f"sqlite:///{tmp_path}/right.db")
    assert result.exit_code == (130 if command == ("tail",) else 0), result.output
    assert "other.db" not in result.output


class _Interrupting(SystemClock):
    def sleep(self, seconds):
        raise KeyboardInterrupt


@pytest.mark.parametrize("command", [("info",), ("check",), ("backup", "copy.db"), ("compact",), ("keys", "list")])
def test_the_store_of_an_option_counts_and_not_that_of_the_environment(invoke, environment, tmp_path, command):
    environment.chdir(tmp_path)
    invoke("remember", "a", "of the option", "--base-url", "sqlite:///right.db")
    environment.setenv("MEMTRACE_BASE_URL", "sqlite:///missing/other.db")
    result = invoke("store", *command, "--store", "sqlite:///right.db")
    assert (result.exit_code, "other.db" in result.output) == (0, False), result.output


def programs(command=None, words=()):
    """The words of the program, of each group and of each command."""
    command = command or get_command(app)
    yield words
    for name, each in getattr(command, "commands", {}).items():
        yield from programs(each, (*words, name))


@pytest.mark.parametrize("words", [*programs()], ids=" ".join)
def test_no_line_of_a_help_text_is_wider_than_a_terminal_of_80_columns(invoke, environment, words):
    environment.setenv("COLUMNS", "80")
    lines = invoke(*words, "--help").output.splitlines()
    assert lines[0].startswith("Usage: ") or lines[1].startswith("Usage: ")
    assert [line for line in lines if len(line) > 80] == []


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
