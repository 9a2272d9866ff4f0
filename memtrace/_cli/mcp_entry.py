"""An entry of a client's file: whether it starts ``memtrace-sdk mcp``, and what a new entry keeps of an old one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from memtrace._cli.mcp_connection import URL_ALIAS

Entry = dict[str, Any]
Options = dict[str, list[str]]
"""Options of the command by their long names, each as the arguments that give it."""

WITH_VALUE: Final = (
    "--agent",
    "--session",
    "--scope",
    "--prefix",
    "--http",
    "--search-index",
    "--profile",
    "--base-url",
    "--transport",
    "--timeout",
)
"""The options of ``memtrace-sdk mcp`` that have a value."""

VARIABLES: Final = {"--transport": "MEMTRACE_TRANSPORT", "--timeout": "MEMTRACE_TIMEOUT"}
"""The variables of settings that any connection may have, by the options that outrank them."""

_ADDRESS_OPTIONS: Final = ("--profile", "--base-url")
_ADDRESS_VARIABLES: Final = ("MEMTRACE_BASE_URL", URL_ALIAS, "MEMTRACE_PROFILE", "MEMTRACE_CONFIG", "MEMTRACE_API_KEY")
_TRANSPORT: Final = ("--transport", "MEMTRACE_TRANSPORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEntry:
    """A server as its client starts it."""

    #: What the entry has besides, such as its type.
    members: Entry = field(default_factory=dict)
    #: The program and its first arguments, up to ``mcp``.
    launcher: Sequence[str] = ()
    options: Options = field(default_factory=dict)
    environment: Entry = field(default_factory=dict)
    #: Whether it starts ``memtrace-sdk mcp``.
    is_ours: bool = True

    @property
    def connection(self) -> tuple[str, ...] | None:
        """Which memory it serves: a profile and its file, or a base URL. None if it names neither."""
        url, profile = value_of(self.options, "--base-url"), value_of(self.options, "--profile")
        get = self.environment.get
        if not url and (profile := profile or get("MEMTRACE_PROFILE")):
            return ("profile", str(profile), str(get("MEMTRACE_CONFIG")))
        url = url or get("MEMTRACE_BASE_URL") or get(URL_ALIAS)
        return ("base_url", str(url)) if url else None

    def written(self) -> Entry:
        """The entry as the file has it."""
        command, *arguments = self.launcher
        arguments += [word for words in self.options.values() for word in words]
        return {**self.members, "command": command, "args": arguments, "env": self.environment}


def read_entry(written: object) -> ServerEntry:
    """Take an entry of a file apart. Another program's has nothing to keep, except that of Memtrace's own server."""
    if not isinstance(written, dict) or "command" not in written:
        return ServerEntry(is_ours=False)
    arguments = written.get("args")
    words = [str(word) for word in (written["command"], *(arguments if isinstance(arguments, list) else []))]
    end = next((place for place in range(1, len(words)) if words[place] == "mcp" and _is_ours(words[:place])), None)
    variables = written.get("env")
    environment = dict(variables) if isinstance(variables, dict) else {}
    if end is None and not any(name.startswith("MEMTRACE_") for name in environment):
        return ServerEntry(is_ours=False)
    return ServerEntry(
        members=written,
        launcher=words if end is None else words[: end + 1],
        options={} if end is None else _options(words[end + 1 :]),
        environment=environment,
        is_ours=end is not None,
    )


def keep_from(old: ServerEntry, new: ServerEntry, *, is_named: bool, key_variable: str | None) -> ServerEntry:
    """The new entry with what it does not give itself, such as other options, variables and settings of the client.

    Args:
        old: The entry that was there.
        new: The entry that comes in its place.
        is_named: Whether the new one names a connection. Then the old one's goes, and its key stays only for the same.
        key_variable: The variable of the new one's key.
    """
    options, environment = dict(old.options), dict(old.environment)
    is_same = new.connection is not None and new.connection == old.connection
    dropped = [option for option, name in VARIABLES.items() if name in new.environment]
    if is_named:
        dropped += _ADDRESS_OPTIONS
        dropped += [name for name in _ADDRESS_VARIABLES if name != key_variable or not is_same]
        dropped += () if is_same else _TRANSPORT
    for name in dropped:
        options.pop(name, None)
        environment.pop(name, None)
    return ServerEntry(
        members={**old.members, **new.members},
        launcher=new.launcher,
        options={**options, **new.options},
        environment={**environment, **new.environment},
    )


def value_of(options: Options, name: str) -> str | None:
    """The value of an option, however it is written; None if it is not given."""
    words = options.get(name)
    if words is None:
        return None
    if len(words) > 1:
        return words[1]
    return words[0].partition("=")[2] if words[0].startswith("--") else words[0][2:]


def _is_ours(words: Sequence[str]) -> bool:
    program = re.split(r"[\\/]", words[-1])[-1].removesuffix(".exe")
    return program == "memtrace-sdk" or [*words[-2:]] == ["-m", "memtrace"]


def _options(words: Iterable[str]) -> Options:
    """Options by name; an argument that is none of the command's stays as it is."""
    found: Options = {}
    rest = iter(words)
    for word in rest:
        is_short = word.startswith("-p")
        name = "--profile" if is_short else word.partition("=")[0]
        has_value_next = word == "-p" or word in WITH_VALUE
        found[name] = [word, *([value] if has_value_next and (value := next(rest, None)) is not None else [])]
    return found
