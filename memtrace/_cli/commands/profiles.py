"""profiles: servers by name."""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from typing import Annotated

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.options import JsonOption, profile_names
from memtrace._cli.strict_options import StrictOptionsCommand
from memtrace._cli.terminal import say, show_error, show_json

PROFILES = """\b
Examples:
  memtrace-sdk profiles add local --base-url http://localhost:9100
  memtrace-sdk profiles set-key local < key.txt
  memtrace-sdk profiles add acme --base-url https://memtrace.example \\
    --api-key-env ACME_KEY
  memtrace-sdk profiles list

\b
The file is MEMTRACE_CONFIG, else memtrace/config.toml where the platform
keeps settings; memtrace-sdk profiles path shows it. It holds no keys: they
are in the keyring, or in a variable of your choice. A key is never an option,
since the list of processes shows those.
"""

profiles: typer.Typer = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Name servers, for --profile.", epilog=PROFILES
)

_command = functools.partial(profiles.command, cls=StrictOptionsCommand)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile.", autocompletion=profile_names)]


@_command(
    "list",
    help="Show the profiles; the default has a star.",
    epilog="\b\nExamples:\n  memtrace-sdk profiles list --json\n",
)
def list_(*, as_json: JsonOption = False) -> None:
    """Show the profiles; the default has a star."""
    from memtrace._cli import profiles as stored
    from memtrace._cli.tables import profiles_table
    from memtrace._cli.terminal import show_table

    config = stored.load()
    if as_json:
        rows = [{"name": name, **profile.settings()} for name, profile in config.profiles.items()]
        show_json({"default": config.default, "profiles": rows})
    elif config.profiles:
        show_table(profiles_table(config))
    else:
        show_error("there is no profile; make one with: memtrace-sdk profiles add NAME --base-url URL")


@_command(
    help="Add or replace a profile; the first one becomes the default.",
    epilog="\b\nExamples:\n  memtrace-sdk profiles add local --base-url http://localhost:9100 --default\n",
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A new profile, or an existing one to replace.")],
    *,
    base_url: Annotated[str, typer.Option(metavar="URL", help="The server's address.")],
    transport: Annotated[str | None, typer.Option(metavar="NAME", help="The transport's name.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="The timeout of one attempt.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variable that holds the key. Without it: the keyring.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Use it by default.")] = False,
) -> None:
    """Add or replace a profile; the first one becomes the default."""
    from memtrace._cli import profiles as stored
    from memtrace._cli.connection import check_profile, is_local
    from memtrace._support.sqlite_urls import absolute_url

    profile = stored.Profile(base_url, transport, timeout, api_key_env)
    check_profile(name, profile)
    stored.save(name, replace(profile, base_url=absolute_url(base_url)), default=default)
    say(f"The profile {name} is in {stored.config_path()}")
    if api_key_env is None and not is_local(base_url):
        say(f"Store its key with: memtrace-sdk profiles set-key {name}")


@_command(
    help="Remove a profile, and its key from the keyring.",
    epilog="\b\nExamples:\n  memtrace-sdk profiles remove local\n",
)
def remove(name: _Name) -> None:
    """Remove a profile, and its key from the keyring."""
    from memtrace._cli import key_store as keys
    from memtrace._cli import profiles as stored

    profile = stored.load().get(name)
    stored.remove(name)
    if profile.api_key_env is None:
        keys.forget_key(name)
    say(f"The profile {name} is removed")


@_command(
    help="Choose the default profile.",
    epilog="\b\nExamples:\n  memtrace-sdk profiles use local\n",
)
def use(name: _Name) -> None:
    """Choose the default profile."""
    from memtrace._cli import profiles as stored

    stored.set_default(name)
    say(f"The profile {name} is the default")


@_command(
    "set-key",
    help="Store a profile's key in the keyring: asked for without being shown, or read from the standard input.",
    epilog="\b\nExamples:\n  memtrace-sdk profiles set-key local\n  pass show memtrace | memtrace-sdk profiles set-key local\n",
)
def set_key(name: _Name) -> None:
    """Store a profile's key in the keyring: asked for without being shown, or read from the standard input."""
    from memtrace._cli import key_store as keys
    from memtrace._cli import profiles as stored
    from memtrace._cli.connection import check_key
    from memtrace._cli.stdin import text_of

    profile = stored.load().get(name)
    if profile.api_key_env is not None:
        raise CommandError(f"the profile {name!r} has its key in {profile.api_key_env}: set that", ExitStatus.USAGE)
    asked = sys.stdin is not None and sys.stdin.isatty()
    key = typer.prompt(f"Key of {name}", hide_input=True, err=True) if asked else text_of("-")
    check_key(key)
    keys.store_key(name, key)
    say(f"The key of {name} is in the keyring")


@_command(help="Show where the file is.", epilog="\b\nExamples:\n  memtrace-sdk profiles path\n")
def path() -> None:
    """Show where the file is."""
    from memtrace._cli import profiles as stored

    say(str(stored.config_path()))
