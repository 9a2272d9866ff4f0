"""The ends of every command: one line for an error, no traceback, an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.terminal import show_failure
from memtrace.exceptions import MemtraceError


@contextmanager
def handle_broken_pipe() -> Iterator[None]:
    """Turn a command's exception into a line on stderr and `typer.Exit`."""
    try:
        yield
    except KeyboardInterrupt:
        _end(ExitStatus.INTERRUPTED, "interrupted")
    except CommandError as error:
        _end_with(error)
    except MemtraceError as error:
        from memtrace._cli.messages import command_error_of  # with pydantic, which no --help needs

        _end_with(command_error_of(error, {}))
    except BrokenPipeError:
        _drop_output()
        raise typer.Exit(ExitStatus.BROKEN_PIPE) from None
    except OSError as error:
        _drop_output()
        _end(ExitStatus.FAILED, f"the output could not be written: {error.strerror or type(error).__name__}")
    except (typer.Exit, typer.Abort, typer.TyperException):  # the last is the root of its errors about arguments
        raise
    except Exception as error:
        if os.environ.get("MEMTRACE_TRACEBACK"):
            raise
        _end(
            ExitStatus.FAILED,
            f"unexpected {type(error).__name__}, a bug in the SDK or in a plugin; "
            "set MEMTRACE_TRACEBACK=1 to see where, and report it",
        )


@contextmanager
def reporting_errors(how_far: Callable[[], tuple[str, ...]]) -> Iterator[None]:
    """Add lines that say how far a command came, where an error or Ctrl-C ends it."""
    try:
        yield
    except KeyboardInterrupt:
        raise CommandError("interrupted", ExitStatus.INTERRUPTED, *how_far()) from None
    except CommandError as error:
        raise CommandError(error.message, error.status, *how_far(), cause=error.cause) from None


def _end(status: ExitStatus, message: str) -> NoReturn:
    _end_with(CommandError(message, status))


def _end_with(error: CommandError) -> NoReturn:
    with suppress(OSError):  # stderr may be gone as well
        show_failure(error.message, error.cause, *error.more)
    raise typer.Exit(error.status) from None


def _drop_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not stumble over it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
