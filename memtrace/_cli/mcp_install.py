"""``memtrace-sdk mcp install``: this memory among the MCP servers of a client."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from memtrace._cli.connection import choose
from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.files import back_up, check_writable, replace_file
from memtrace._cli.json_with_comments import NotJsonError, append_item, parse, set_member
from memtrace._cli.mcp import Serving, check_options, check_package
from memtrace._cli.mcp_clients import CLIENTS, ClientName, McpClient
from memtrace._cli.mcp_connection import URL_ALIAS, with_default
from memtrace._cli.mcp_entry import VARIABLES, Entry, Options, ServerEntry, keep_from, read_entry
from memtrace._cli.profiles import load, moved_config_path
from memtrace._cli.terminal import say, show_error, show_json
from memtrace._runtime.config import parse_base_url
from memtrace._support.sqlite_urls import absolute_url

if TYPE_CHECKING:
    from memtrace._cli.connection import ConnectionSettings
    from memtrace._cli.options import Choice

_PACKAGE: Final = "memtrace-sdk[mcp]"
_PLACEHOLDER: Final = "YOUR_API_KEY"
_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The server to add, and the file: the options of the command."""

    client: ClientName
    name: str
    #: None for the client's own file.
    file: Path | None
    agent: str | None
    read_only: bool
    uvx: bool
    with_key: bool

    @property
    def target(self) -> McpClient:
        """The client."""
        return CLIENTS[self.client]

    @property
    def path(self) -> Path:
        """The file."""
        return self.file if self.file is not None else self.target.path()

    @property
    def serving(self) -> Serving:
        """What the server serves."""
        return Serving(agent=self.agent, read_only=self.read_only)

    @property
    def starts_uvx(self) -> bool:
        """Whether uvx starts the server: on request, and if it started this process."""
        return self.uvx or any(part.startswith("archive-v") for part in Path(sys.prefix).parts)

    @property
    def secret_id(self) -> str:
        """What a client calls the key that it asks for."""
        return f"{self.name}-api-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """The server to write, without its key."""

    entry: ServerEntry
    #: The variable of its key; None if it needs none, or finds it in the keyring.
    key_variable: str | None
    #: The key, which is written or shown only where that is asked for.
    key: str | None
    #: Whether an address, a profile or a key is set; else what the file has of them stays.
    is_named: bool
    #: What it is connected with.
    connection: ConnectionSettings
    #: The same without the default profile.
    given: ConnectionSettings
    #: Whether only the default profile names them; what the file has of them stays then as well.
    is_default: bool

    def in_place_of(self, old: ServerEntry) -> _Server:
        """The server with what an older entry has besides. The default profile is no reason to change its connection."""
        server = self
        if self.is_default and old.connection is not None:
            options = {name: words for name, words in self.entry.options.items() if name != "--profile"}
            environment = {name: text for name, text in self.entry.environment.items() if name != "MEMTRACE_CONFIG"}
            entry = replace(self.entry, options=options, environment=environment)
            server = replace(self, entry=entry, key_variable=None, key=None, is_named=False, connection=self.given)
        entry = keep_from(old, server.entry, is_named=server.is_named, key_variable=server.key_variable)
        return replace(server, entry=entry)


def run_install(choice: Choice, installation: Installation, *, only_print: bool) -> None:
    """Write the server into the client's file, or show what would be written. Raises `CommandError`."""
    path = None if only_print else installation.path
    if not installation.starts_uvx:
        check_package()
    connection = choose(choice, url_alias=URL_ALIAS)
    is_chosen = choice.profile or choice.base_url
    _check(installation, connection if is_chosen else replace(connection, transport=None))  # the file may name another
    server = _server(choice, connection, installation)
    if path is None:
        _check_with(installation, server, ServerEntry())
        _show_snippet(installation, server, with_key=installation.with_key)
        return
    try:
        _write(installation, server)
    except NotJsonError as error:
        show_error(f"{path} was not changed: {error}; add this to it:")
        _show_snippet(installation, server, with_key=False)
        raise CommandError(f"{path} cannot be changed safely", ExitStatus.USAGE) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandError(f"{path} cannot be changed: {reason}", ExitStatus.FAILED) from None


# ---- the server -----------------------------------------------------------------------------------------------------


def _server(choice: Choice, connection: ConnectionSettings, installation: Installation) -> _Server:
    """The server's command, and its environment. Raises `CommandError` for what could not be served."""
    _check_profile(connection)
    given = {
        "--agent": installation.agent,
        "--profile": connection.profile,
        "--transport": choice.transport,
        "--timeout": choice.timeout,
    }
    options: Options = {name: [name, str(value)] for name, value in given.items() if value is not None}
    if installation.read_only:
        options["--read-only"] = ["--read-only"]
    environment: dict[str, str] = {}
    if connection.profile is None and connection.url is not None:
        environment["MEMTRACE_BASE_URL"] = _absolute(connection, installation)
    elif connection.profile is not None and (path := moved_config_path()) is not None:
        environment["MEMTRACE_CONFIG"] = str(path)
    for option, name in VARIABLES.items():
        if option not in options and (value := os.environ.get(name)):
            environment[name] = value
    needs_key = connection.api_key or (connection.url is not None and not connection.is_local)
    in_keyring = connection.key_source == "the keyring"
    variable = connection.key_source if needs_key and not in_keyring else None
    return _Server(
        entry=ServerEntry(
            members=dict(installation.target.extra or {}),
            launcher=_launcher(installation),
            options=options,
            environment=environment,
        ),
        key_variable=variable,
        key=connection.api_key,
        connection=connection,
        given=replace(connection, transport=choice.transport, timeout=choice.timeout),
        is_named=connection.url is not None or variable is not None,
        is_default=connection.profile is not None and not (choice.profile or os.environ.get("MEMTRACE_PROFILE")),
    )


def _launcher(installation: Installation) -> list[str]:
    """The command that starts this program, with its whole path, since clients have another PATH."""
    if installation.starts_uvx:
        return [shutil.which("uvx") or "uvx", "--from", _PACKAGE, "memtrace-sdk", "mcp"]
    script = Path(sys.executable).with_name("memtrace-sdk.exe" if sys.platform == "win32" else "memtrace-sdk")
    return [str(script), "mcp"] if script.exists() else [sys.executable, "-m", "memtrace", "mcp"]


def _check(installation: Installation, connection: ConnectionSettings) -> None:
    """Refuse what the server would refuse when the client starts it. Raises `CommandError`."""
    served = with_default(connection)
    check_options(replace(served, api_key=served.api_key or "none"), installation.serving)


def _check_with(installation: Installation, server: _Server, old: ServerEntry) -> None:
    """Refuse what the server would refuse with the connection of the file's entry, which stays. Raises `CommandError`."""
    if installation.with_key and server.key is None and (server.key_variable is not None or not server.is_named):
        raise CommandError("there is no key to write: set MEMTRACE_API_KEY", ExitStatus.USAGE)
    connection, kept = server.connection, None if server.is_named else old.connection
    if kept is not None and any("${" in each for each in kept):  # the client puts a value in
        return
    if kept is not None and kept[0] == "base_url":
        connection = replace(connection, url=kept[1], url_source="the settings file")
    elif kept is not None:
        profile = load().profiles.get(kept[1])
        if profile is None:  # it is in another file
            return
        place = f"the profile {kept[1]!r}"
        transport = connection.transport or profile.transport
        connection = replace(connection, url=profile.base_url, url_source=place, transport=transport)
    _check(installation, connection)


def _check_profile(connection: ConnectionSettings) -> None:
    """Refuse a profile whose file each working directory has another of. Raises `CommandError`."""
    name, url = connection.profile, str(connection.url)
    if name is None or absolute_url(url) == url:
        return
    raise CommandError(
        f"the profile {name!r} has a relative path, and a client starts the server in another working directory: "
        f"store it again with: memtrace-sdk profiles add {name} --base-url {absolute_url(url)}",
        ExitStatus.USAGE,
    )


def _absolute(connection: ConnectionSettings, installation: Installation) -> str:
    """The address as any working directory can use it. Raises `CommandError` for a password in it."""
    url = str(connection.url)
    if parse_base_url(url).authorization is not None and not installation.with_key:
        raise CommandError(
            "the base URL has a password, which would be in the file: name a profile, or add --with-key",
            ExitStatus.USAGE,
        )
    return absolute_url(url)


# ---- the key --------------------------------------------------------------------------------------------------------


def _with_key(installation: Installation, server: _Server, key: str | None) -> tuple[Entry, list[Entry]]:
    """The entry with the key or a reference to it, and what the client has to ask for."""
    entry, variable, client = server.entry.written(), server.key_variable, installation.target
    if variable is None:
        return entry, []
    asked: list[Entry] = []
    if key is None and client.secret is not None:
        key = client.secret.format(installation.secret_id)
        description = f"API key of the MCP server {installation.name}"
        asked = [{"type": "promptString", "id": installation.secret_id, "description": description, "password": True}]
    elif key is None and client.variable is not None:
        key = client.variable.format(variable)
    return entry if key is None else {**entry, "env": {**entry["env"], variable: key}}, asked


def _check_key(installation: Installation, server: _Server, entry: Entry) -> None:
    """Refuse a server that would have no key. Raises `CommandError`."""
    variable = server.key_variable
    if variable is None or variable in entry["env"]:
        return
    raise CommandError(
        f"{installation.target.title} cannot give the server {variable}: name a profile whose key the keyring keeps "
        "(memtrace-sdk profiles add --help), or add --with-key to write the key into the file",
        ExitStatus.USAGE,
    )


# ---- the file -------------------------------------------------------------------------------------------------------


def _write(installation: Installation, server: _Server) -> None:
    """Change the file, and say what was done. Another program's change in between is kept."""
    path = installation.path
    for _ in range(_TRIES):
        before = _read(path)
        text = before.decode("utf-8-sig")
        changed = _changed(installation, server, text)
        if changed == text:
            say(f"{path} has this server already")
            return
        if _read(path) != before:
            continue
        check_writable(path)
        path.resolve().parent.mkdir(parents=True, exist_ok=True)
        backup = back_up(path) if before else None
        mark = before[:3] if before.startswith(b"\xef\xbb\xbf") else b""
        replace_file(path, mark + changed.encode())
        _tell(installation, server, _entry_in(installation, text), backup)
        return
    raise CommandError(f"{path} changes all the time: close {installation.target.title}", ExitStatus.FAILED)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _changed(installation: Installation, server: _Server, text: str) -> str:
    """The text with the server in it. Raises `NotJsonError`, and `CommandError` where it would have no key."""
    section = installation.target.section
    old = _entry_in(installation, text)
    server = server.in_place_of(read_entry(old))
    _check_with(installation, server, read_entry(old))
    entry, asked = _with_key(installation, server, server.key if installation.with_key else None)
    _check_key(installation, server, entry)
    if old != entry:
        text = set_member(text, [section, installation.name], entry)
    inputs = parse(text).get("inputs")
    known = [each.get("id") for each in inputs if isinstance(each, dict)] if isinstance(inputs, list) else []
    for each in asked:
        if each["id"] not in known:
            text = append_item(text, "inputs", each)
    return text


def _entry_in(installation: Installation, text: str) -> object:
    """What a file has under the server's name; None for nothing. Raises `NotJsonError`."""
    there = parse(text) if text.strip() else None
    servers = there.get(installation.target.section) if isinstance(there, dict) else None
    return servers.get(installation.name) if isinstance(servers, dict) else None


def _tell(installation: Installation, server: _Server, old: object, backup: Path | None) -> None:
    path, client = installation.path, installation.target
    if old is not None and not read_entry(old).is_ours:
        show_error(f"{installation.name} was another server in this file, not memtrace-sdk mcp: it is replaced")
    server = server.in_place_of(read_entry(old))
    say(f"{path} has the server {installation.name} now; restart {client.title}")
    if backup is not None:
        say(f"the file as it was: {backup}")
    if installation.with_key and server.key_variable and os.name == "posix" and path.stat().st_mode & 0o077:
        show_error(f"others can read the key in {path}: chmod 600 it")
    elif server.key_variable and client.variable is not None and not installation.with_key:
        show_error(f"{client.title} reads {server.key_variable} from its own environment: set it where it starts")


def _show_snippet(installation: Installation, server: _Server, *, with_key: bool) -> None:
    entry, asked = _with_key(installation, server, server.key if with_key else None)
    variable = server.key_variable
    if variable is not None and variable not in entry["env"]:
        entry = {**entry, "env": {**entry["env"], variable: _PLACEHOLDER}}
    inputs = {"inputs": asked} if asked else {}
    show_json({installation.target.section: {installation.name: entry}, **inputs})
