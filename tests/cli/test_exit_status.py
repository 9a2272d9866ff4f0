"""Exit statuses: one table, the same in the program, its help and its errors."""

from __future__ import annotations

import pytest
from typer.main import get_command

import memtrace.exceptions as errors
from memtrace._cli.exit_status import ExitStatus, status_of
from tests.sampling import sample


def of(kind, status_code=0, *, maybe_applied=False):
    error = kind("told")
    error.status_code = status_code
    error.maybe_applied = maybe_applied
    return status_of(error)


@pytest.mark.parametrize(
    ("kind", "status_code", "status"),
    [
        (errors.AuthenticationError, 401, ExitStatus.DENIED),
        (errors.NotFoundError, 404, ExitStatus.NOT_FOUND),
        (errors.ConflictError, 409, ExitStatus.CONFLICT),
        (errors.InvalidRequestError, 0, ExitStatus.USAGE),
        (errors.PayloadTooLargeError, 413, ExitStatus.USAGE),
        (errors.ConfigurationError, 0, ExitStatus.USAGE),
        (errors.NoArcInstanceError, 503, ExitStatus.UNAVAILABLE),
        (errors.RateLimitError, 429, ExitStatus.UNAVAILABLE),
        (errors.APIConnectionError, 0, ExitStatus.UNAVAILABLE),
        (errors.ServerError, 502, ExitStatus.UNAVAILABLE),
        (errors.ServerError, 500, ExitStatus.FAILED),
        (errors.ResponseDecodeError, 200, ExitStatus.FAILED),
    ],
)
def test_an_error_of_the_sdk_has_its_status(kind, status_code, status):
    assert of(kind, status_code) == status
    assert of(kind, status_code, maybe_applied=True) == ExitStatus.UNKNOWN


def test_every_status_is_in_the_help(invoke):
    lines = [line.strip() for line in invoke("--help").output.splitlines()]
    assert all(f"{status.value:<5}{status.meaning}" in lines for status in ExitStatus)
    assert len({status.meaning for status in ExitStatus}) == len(ExitStatus)


class TestTheUnexpected:
    @pytest.fixture
    def failing(self, environment):
        def fail(store):
            raise LookupError("mtk_secret")

        environment.setattr("memtrace._cli.demo.run_walkthrough", fail)

    def test_it_is_one_line_without_its_text(self, invoke, failing):
        result = invoke("demo")
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert "unexpected LookupError" in result.stderr
        assert "mtk_secret" not in result.output

    def test_a_traceback_is_there_for_who_asks(self, invoke, failing, environment):
        environment.setenv("MEMTRACE_TRACEBACK", "1")
        assert isinstance(invoke("demo").exception, LookupError)


@pytest.mark.parametrize("shell", sample(["bash", "zsh", "fish"], 1))
def test_shells_get_a_completion(execute, environment, shell):
    environment.setenv("_MEMTRACE_SDK_COMPLETE", f"source_{shell}")
    result = execute()
    assert result.returncode == 0
    assert "memtrace-sdk" in result.stdout


def test_a_shell_completes_commands(execute, environment):
    environment.setenv("_MEMTRACE_SDK_COMPLETE", "complete_bash")
    environment.setenv("COMP_WORDS", "memtrace-sdk re")
    environment.setenv("COMP_CWORD", "1")
    assert execute().stdout.split() == ["remember", "recall"]


def options(command):
    """Every option of a command and of those below it."""
    yield from (option for parameter in command.params for option in parameter.opts)
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


def test_no_command_has_a_key_as_an_option():
    from memtrace._cli.app import app

    taken = {option for option in options(get_command(app)) if "key" in option}
    assert taken == {"--dedup-key", "--api-key-env", "--with-key"}  # the last one has no value
