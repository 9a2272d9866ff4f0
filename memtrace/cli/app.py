"""The commands and their options, wired to what they do."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from memtrace.cli.terminal import show_error
from memtrace.exceptions import MemtraceError

__all__ = ["app", "run"]

_EXIT_STATUSES = """\b
Exit statuses:
  0    all is well
  1    a check of the doctor failed, or the command could not do its work
  2    an option, the configuration or the input is missing or wrong
  130  interrupted with Ctrl-C

\b
Example:
  memtrace-sdk demo
"""

_DEMO_EXAMPLES = """\b
Examples:
  memtrace-sdk demo
  memtrace-sdk demo --conversation sample
  memtrace-sdk demo --conversation chats.jsonl
  zcat chats.jsonl.gz | memtrace-sdk demo --conversation -

\b
FILE has one turn a line, as a JSON object:
  {"conversation": 1, "session": 1, "time": "2026-03-02T09:00:00Z",
   "speaker": "Ines", "id": "1:1", "text": "Good morning!"}
All fields are needed; a "caption" and any other may follow. Each speaker of
each conversation becomes an agent, each session of a conversation a session.
A line that is none of this ends the command with status 2; the message tells
what was stored before it.
"""

_TRANSPORTS_EXAMPLES = """\b
Examples:
  memtrace-sdk transports
  memtrace-sdk transports --json
"""

_MIDDLEWARE_EXAMPLES = """\b
Examples:
  memtrace-sdk middleware
  memtrace-sdk middleware --json
"""

_DOCTOR_EXAMPLES = """\b
Examples:
  memtrace-sdk doctor --url http://localhost:9100
  memtrace-sdk doctor --json

\b
The key is read from MEMTRACE_API_KEY, never from the command line, and is not
shown. MEMTRACE_TIMEOUT bounds each request.
Exit status: 0 when all is well, 1 when a check failed, 2 when the configuration
is missing or wrong.
"""

_SERVE_EXAMPLES = """\b
Examples:
  memtrace-sdk serve-fake
  memtrace-sdk serve-fake --port 9100 --org acme=mtk_of_acme
  memtrace-sdk serve-fake --clock manual --visibility server --json

\b
The control routes under /_fake add organisations, seed rows, move the clock
and plan faults; anybody who can reach the port can use them.
"""


class _Program(TyperGroup):
    """The group of commands, which ends quietly where Python would show a traceback."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments; help and version are printed here."""
        with _quiet_ends():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and write its output out."""
        with _quiet_ends():
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return result


@contextmanager
def _quiet_ends() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except MemtraceError as error:
        show_error(str(error))
        raise typer.Exit(1) from None
    except BrokenPipeError:
        _drop_output()
        raise typer.Exit(141) from None
    except OSError as error:
        _drop_output()
        show_error(f"the output could not be written: {error.strerror}")
        raise typer.Exit(1) from None


def _drop_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not stumble over it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app: typer.Typer = typer.Typer(
    cls=_Program,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run() -> None:
    """Run the command that the process's arguments name. Always ends in `SystemExit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # one that is not UTF-8 shows what it cannot write as \u escapes
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="memtrace-sdk")


def _show_version(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        from memtrace import __version__

        typer.echo(f"memtrace-sdk {__version__}")
        raise typer.Exit


@app.callback(epilog=_EXIT_STATUSES)
def program(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Try Memtrace's Python SDK, see its transports, and find out why a server does not answer."""


@app.command(epilog=_DEMO_EXAMPLES, short_help="Walk through the SDK, without a server.")
def demo(
    *,
    conversation: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Load a conversation from JSON lines: a file, - for the standard input, or sample for the one that "
            "comes with the SDK (a file of that name is ./sample).",
        ),
    ] = None,
) -> None:
    """Walk through the SDK on an in-memory fake: no server, no key, and nothing is left behind."""
    from memtrace.cli.demo import run_conversation, run_walk_through

    if conversation is None:
        run_walk_through()
    else:
        raise typer.Exit(run_conversation(conversation))


@app.command(epilog=_TRANSPORTS_EXAMPLES, short_help="List the installed transports.")
def transports(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False) -> None:
    """List the installed transports, with what is wrong where one cannot be used."""
    from memtrace.cli.listing import run_listing
    from memtrace.plugins import transports as installed

    run_listing(installed.listing(), "No transport is installed.", as_json=as_json)


@app.command(epilog=_MIDDLEWARE_EXAMPLES, short_help="List the installed middleware.")
def middleware(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False) -> None:
    """List the built-in middleware, and what you have installed; that acts only where a client names it."""
    from memtrace.cli.listing import run_listing
    from memtrace.plugins import middlewares as installed

    run_listing(installed.listing(), "No middleware is installed.", as_json=as_json)


@app.command(epilog=_DOCTOR_EXAMPLES, short_help="Find out why a server does not answer.")
def doctor(
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The server's address. Without it: MEMTRACE_BASE_URL.")
    ] = None,
    transport: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A transport by name. Without it: what the address names, else MEMTRACE_TRANSPORT."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Check configuration, transport, server, key and storage, and say what to do about what fails."""
    from memtrace.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(url, transport, as_json=as_json))


@app.command(
    "serve-fake", epilog=_SERVE_EXAMPLES, short_help="Serve a fake Memtrace server, for tests in any language."
)
def serve_fake(
    *,
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    clock: Annotated[
        Literal["real", "manual"], typer.Option(help="manual stands still until /_fake/clock/advance moves it.")
    ] = "real",
    visibility: Annotated[
        Literal["immediate", "server"], typer.Option(help="server shows writes as late as the real one does.")
    ] = "immediate",
    org: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=KEY]", help="An organisation, with this key; repeat it for more."),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Offer the control routes under /_fake, without a key.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON: url, api_key, org_id.")] = False,
) -> None:
    """Serve an in-memory fake that answers as a Memtrace server does, until Ctrl-C or SIGTERM. It forgets all when it ends."""
    from memtrace.cli.serve import run_server

    status = run_server(
        host=host,
        port=port,
        manual_clock=clock == "manual",
        visibility=visibility,
        orgs=org or [],
        control=control,
        as_json=as_json,
    )
    raise typer.Exit(status)
