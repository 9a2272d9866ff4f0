"""Which server a command speaks to, and with which key: options over the environment over the default profile.

An address and its key always come from one place. A profile is used whole, so that no key goes to another's server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from memtrace._cli import profiles
from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.key_store import read_key
from memtrace._cli.messages import command_error_of
from memtrace._cli.options import Choice
from memtrace._cli.terminal import show_error
from memtrace._runtime.config import DEFAULT_TIMEOUT
from memtrace._support.secrets import hidden
from memtrace._support.sqlite_urls import location_of_url
from memtrace._support.urls import AddressError
from memtrace.client import Memtrace
from memtrace.exceptions import ConfigurationError, MemtraceError

if TYPE_CHECKING:
    from memtrace.async_client import AsyncMemtrace


MISSING_FILE = (
    "check the path; remember, import and a program's client make the file, and a command that only reads does not"
)
"""What to do about a store whose file is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """What a client is made from, and where that comes from. None is left to the SDK's own defaults."""

    url: str | None
    url_source: str
    api_key: str | None = field(repr=False)
    key_source: str
    transport: str | None
    timeout: float | None
    timeout_source: str = "--timeout"
    #: The file of the search's index; None keeps it in memory.
    search_index: str | None = None
    #: The profile that it was chosen from.
    profile: str | None = None

    def client(self) -> Memtrace:
        """A client. Raises `ConfigurationError`."""
        return Memtrace(
            self.url,
            self.api_key,
            transport=self.transport,
            timeout=self._seconds,
            dedup="server",
            search_index=self.search_index,
        )

    def async_client(self, *, deadline: float) -> AsyncMemtrace:
        """An async client. Raises `ConfigurationError`."""
        from memtrace.async_client import AsyncMemtrace

        return AsyncMemtrace(
            self.url,
            self.api_key,
            transport=self.transport,
            timeout=self._seconds,
            deadline=deadline,
            dedup="server",
            search_index=self.search_index,
        )

    @property
    def _seconds(self) -> float:
        return DEFAULT_TIMEOUT if self.timeout is None else self.timeout

    @property
    def is_local(self) -> bool:
        """Whether it is a store without a server, which needs no key."""
        return is_local(self.url or "")

    @property
    def missing_file(self) -> str | None:
        """The path of the file that the address names, where nothing is there: a client would make it."""
        if not (self.url or "").lower().startswith("sqlite:"):
            return None
        with suppress(AddressError, OSError):  # logged by a client
            path = location_of_url(str(self.url)).path
            try:
                os.stat(path)  # noqa: PTH116  # `Path.exists` takes other errors for a missing file
            except FileNotFoundError:
                return path
        return None

    @property
    def sources(self) -> dict[str, str]:
        """Where the client's arguments come from, by their names in Python."""
        return {
            "base_url": self.url_source,
            "api_key": self.key_source,
            "timeout": self.timeout_source,
            "search_index": "--search-index",
        }

    def check(self) -> None:
        """Refuse a connection without an address or a key. Raises `CommandError`."""
        profile = "or create a profile: memtrace-sdk profiles add --help"
        if not self.url:
            advice = "set MEMTRACE_BASE_URL=sqlite:///agent.db for a file, or MEMTRACE_BASE_URL and MEMTRACE_API_KEY for a server"
            raise CommandError(f"the base URL is missing: {advice}, {profile}", ExitStatus.USAGE)
        if "://" in self.url and not self.is_local and not self.api_key:  # the client rejects an invalid URL
            raise CommandError(f"the API key is missing: set MEMTRACE_API_KEY, {profile}", ExitStatus.USAGE)

    def describe(self, error: MemtraceError) -> CommandError:
        """An error of its client, in the console's words and without the key."""
        return command_error_of(error, self.sources, self.api_key)


def is_local(url: str) -> bool:
    """Whether this is the address of a store without a server, which needs no key."""
    return url.lower().startswith(("sqlite:", "memory:"))


_URL = "MEMTRACE_BASE_URL"


def choose(choice: Choice, *, url_alias: str | None = None) -> ConnectionSettings:
    """Options over the environment over the default profile; an address or a key may be missing.

    `url_alias` is a variable that has the address where MEMTRACE_BASE_URL has none.

    Raises `CommandError` for a profile that is not there or not right, or that has no key.
    """
    variable = url_alias if url_alias and not os.environ.get(_URL) and os.environ.get(url_alias) else _URL
    name = _profile_name(choice, variable)
    profile = None if name is None else profiles.load().get(name)
    timeout, timeout_source = _timeout(choice, name, profile)
    if name is None or profile is None:
        url, key = choice.base_url or os.environ.get(variable), hidden(os.environ.get("MEMTRACE_API_KEY"))
        source = "--base-url" if choice.base_url else variable
        return ConnectionSettings(
            url=url or None,
            url_source=source,
            api_key=key or None,
            key_source="MEMTRACE_API_KEY",
            transport=choice.transport,
            timeout=timeout,
            timeout_source=timeout_source,
        )
    key, key_source = (None, "") if _needs_no_key(profile) else read_key(name, profile)
    return ConnectionSettings(
        url=profile.base_url,
        url_source=f"the profile {name!r}",
        api_key=key,
        key_source=key_source,
        transport=choice.transport or profile.transport,
        timeout=timeout,
        timeout_source=timeout_source,
        profile=name,
    )


def _needs_no_key(profile: profiles.Profile) -> bool:
    return is_local(profile.base_url) and profile.api_key_env is None


def _timeout(choice: Choice, name: str | None, profile: profiles.Profile | None) -> tuple[float | None, str]:
    """Seconds for one attempt, and where they come from."""
    if choice.timeout is not None:
        return choice.timeout, "--timeout"
    if profile is not None and profile.timeout is not None:
        return profile.timeout, f"the profile {name!r}"
    return None, "--timeout or MEMTRACE_TIMEOUT"


def _profile_name(choice: Choice, url_variable: str) -> str | None:
    if choice.profile and choice.base_url:
        raise CommandError(
            "--profile and --base-url do not go together: a profile's key is for its own server; leave one out",
            ExitStatus.USAGE,
        )
    if choice.base_url:
        return None
    named = choice.profile or os.environ.get("MEMTRACE_PROFILE")
    if named:
        return named
    if os.environ.get(url_variable) or os.environ.get("MEMTRACE_API_KEY"):
        return None
    return profiles.load().default


def connected(
    choice: Choice, search_index: str | None = None, *, creates: bool = False
) -> AbstractContextManager[Memtrace]:
    """A client for one command. An error is raised as `CommandError`, in the console's words and without the key.

    A missing file is created for a command that `creates` it. Any other command rejects it as a mistyped path.
    """
    return opened(replace(choose(choice), search_index=search_index), creates=creates)


@contextmanager
def opened(connection: ConnectionSettings, *, creates: bool = False) -> Iterator[Memtrace]:
    """As `connected`, of a connection that was chosen already."""
    connection.check()
    if not creates and connection.missing_file is not None:
        text = f"the store {connection.missing_file} does not exist: {MISSING_FILE} (from {connection.url_source})"
        raise CommandError(text, ExitStatus.USAGE)
    try:
        with connection.client() as client:
            if str(connection.url).startswith("memory:"):
                show_error("memory:// is a fake in this process: all that it holds goes when this command ends")
            yield client
    except MemtraceError as error:
        raise connection.describe(error) from None


def check_profile(name: str, profile: profiles.Profile) -> None:
    """Refuse what no client could be made from. Raises `CommandError`."""
    if not name or name.startswith("-"):
        raise CommandError("NAME must not be empty, nor begin with a hyphen", ExitStatus.USAGE)
    connection = ConnectionSettings(
        url=profile.base_url,
        url_source="--base-url",
        api_key="none",
        key_source="",
        transport=profile.transport,
        timeout=profile.timeout,
    )
    _check(connection)


def check_key(key: str) -> None:
    """Refuse a key that could not be sent, without showing it. Raises `CommandError`."""
    connection = ConnectionSettings(
        url="memory://", url_source="", api_key=key, key_source="", transport=None, timeout=None
    )
    _check(connection)


def _check(connection: ConnectionSettings) -> None:
    try:
        connection.client().close()
    except ConfigurationError as error:
        raise connection.describe(error) from None
