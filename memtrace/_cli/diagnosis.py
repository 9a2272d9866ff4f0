"""What the doctor examines, one check after the other. Nothing is printed here, and no text holds the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from memtrace._cli.connection import MISSING_FILE, ConnectionSettings, choose
from memtrace._cli.exit_status import CommandError
from memtrace._cli.messages import advice_of, redacted
from memtrace._cli.options import Choice
from memtrace._runtime.config import DEFAULT_TIMEOUT, Settings, settings_from_args
from memtrace._support.sqlite_urls import DEFAULT_KEY
from memtrace.client import Memtrace
from memtrace.exceptions import (
    AuthenticationError,
    ConfigurationError,
    MemtraceError,
    NoArcInstanceError,
)
from memtrace.plugins import select_transport

CheckName = Literal["configuration", "transport", "reachable", "key", "storage"]
_NAMES: tuple[CheckName, ...] = ("configuration", "transport", "reachable", "key", "storage")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a diagnosis."""

    name: CheckName
    status: Literal["ok", "failed", "skipped"]
    found: str
    #: What to do about it, where it failed.
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, in order."""

    checks: tuple[Check, ...]

    @property
    def exit_status(self) -> int:
        """0 when success, 1 when a check failed, 2 when the configuration is missing or wrong."""
        failed = {check.name for check in self.checks if check.status == "failed"}
        if failed & {"configuration", "transport"}:
            return 2
        return 1 if failed else 0


def diagnose(choice: Choice) -> Diagnosis:
    """Check the configuration, given and found, and the server that it names. Raises nothing for a failure."""
    examination = _DiagnosisRun(choice)
    examination.run()
    done = examination.checks
    skipped = [Check(name, "skipped", f"not tried, because {done[-1].name} failed") for name in _NAMES[len(done) :]]
    return Diagnosis((*done, *skipped))


@dataclass(slots=True)
class _DiagnosisRun:
    choice: Choice
    checks: list[Check] = field(default_factory=list)
    key: str | None = field(default=None, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Stop at the first check without which the next ones mean nothing."""
        try:
            connection = choose(self.choice)
        except CommandError as error:
            self._failed("configuration", error.message, "memtrace-sdk profiles list shows what is there")
            return
        self.key = connection.api_key
        self.sources = connection.sources
        settings = self._configuration(connection)
        client = None if settings is None else self._client(settings, connection)
        if client is None:
            return
        if connection.missing_file is not None:  # which a look at it would make
            found = f"the store {connection.missing_file} does not exist"
            self._failed("reachable", found, f"{MISSING_FILE} ({connection.url_source})")
            client.close()
            return
        with client:
            if self._reachable(client):
                self._read(client)

    def _ok(self, name: CheckName, found: str) -> None:
        self.checks.append(Check(name, "ok", self._shown(found)))

    def _failed(self, name: CheckName, found: str, advice: str) -> None:
        self.checks.append(Check(name, "failed", self._shown(found), self._shown(advice)))

    def _shown(self, text: str) -> str:
        return redacted(text, self.key)

    def _advice(self, error: MemtraceError) -> str | None:
        return advice_of(error, self.sources)

    def _configuration(self, connection: ConnectionSettings) -> Settings | None:
        problems: list[tuple[str, str]] = []
        if not connection.url:
            problems.append(
                (
                    "no address",
                    "pass --base-url, set MEMTRACE_BASE_URL to a server's URL or sqlite:///agent.db, or name a --profile",
                )
            )
        if not connection.api_key and not connection.is_local:
            problems.append(("no key", "set MEMTRACE_API_KEY: a key is never taken from the command line"))
        try:
            settings = settings_from_args(
                connection.url or "memory://",
                connection.api_key or DEFAULT_KEY,
                timeout=DEFAULT_TIMEOUT if connection.timeout is None else connection.timeout,
                middleware=(),
                attempt_middleware=(),
                headers=None,
                clock=None,
            )
        except ConfigurationError as error:
            problems.append((error.message, self._advice(error) or "correct the option or the variable"))
        else:
            if not problems:
                self._ok("configuration", _described(settings, connection))
                return settings
        self._failed("configuration", *("; ".join(texts) for texts in zip(*problems, strict=True)))
        return None

    def _client(self, settings: Settings, connection: ConnectionSettings) -> Memtrace | None:
        try:
            selection = select_transport(connection.transport, settings.base_url.transport, asynchronous=False)
            client = connection.client()
        except ConfigurationError as error:
            advice = self._advice(error) or "see what is there with: memtrace-sdk transports"
            self._failed("transport", error.message, advice)
            return None
        note = " (a fake in this process, not a server)" if selection.name == "memory" else ""
        self._ok("transport", f"{selection.name}{note}, because {selection.reason}")
        return client

    def _reachable(self, client: Memtrace) -> bool:
        try:
            health = client.health()
        except MemtraceError as error:
            self._failed("reachable", error.message, self._advice(error) or _ANOTHER_SERVER)
        except Exception as error:  # noqa: BLE001  # a transport that others wrote may raise anything
            self._failed(
                "reachable", f"the transport raised {type(error).__name__}: {error}", "report it to its authors"
            )
        else:
            self._ok("reachable", f"{health.service} answers, status {health.status}, up {health.uptime}")
            return True
        return False

    def _read(self, client: Memtrace) -> None:
        """One cheap read that needs a valid key and storage. Its result shows which of them is missing."""
        try:
            client.memories.list(limit=1)
        except AuthenticationError as error:
            self._failed("key", error.message, "set MEMTRACE_API_KEY to a key of this server; ask an admin for one")
        except NoArcInstanceError as error:
            self._ok("key", "the server accepts it")
            self._failed("storage", error.message, error.hint or _ADD_STORAGE)
        except MemtraceError as error:
            self._read_failed(error)
        else:
            self._ok("key", "the server accepts it" if self.key else "none is needed")
            self._ok("storage", "ready, memories can be read")

    def _read_failed(self, error: MemtraceError) -> None:
        """Tell the server's own 500, which needs a good key, from what never came as far as its storage."""
        if error.status_code == 500:
            self._ok("key", "the server accepts it")
            self._failed("storage", error.message, "ask an admin whether the organisation's Arc instance is running")
        else:
            self._failed("key", f"could not be tried: {error.message}", self._advice(error) or _PROXY)


_ANOTHER_SERVER = "check that this is the address of a Memtrace server"
_ADD_STORAGE = "ask an admin to run `memtrace org add-arc <org_id>`"
_PROXY = "look at what is between here and the server, then try again"


def _described(settings: Settings, connection: ConnectionSettings) -> str:
    address = re.sub(r"//[^/]*@", "//***@", str(settings.base_url)).partition("?")[0]
    key = f"key from {connection.key_source}" if connection.api_key else "without a key, which it does not need"
    return f"{address} from {connection.url_source}, {key}, {settings.timeout:g} s an attempt"
