"""What the doctor examines, one check after the other. Nothing is printed here, and no text holds the key."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Literal

from memtrace.client import Memtrace
from memtrace.config import DEFAULT_TIMEOUT, Settings, resolve
from memtrace.exceptions import (
    AuthenticationError,
    ConfigurationError,
    MemtraceError,
    NoArcInstanceError,
)
from memtrace.plugins import select_transport

__all__ = ["Check", "CheckName", "Diagnosis", "examine"]

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
        """0 when all is well, 1 when a check failed, 2 when the configuration is missing or wrong."""
        failed = {check.name for check in self.checks if check.status == "failed"}
        if failed & {"configuration", "transport"}:
            return 2
        return 1 if failed else 0


def examine(url: str | None, transport: str | None) -> Diagnosis:
    """Check the configuration, given and from the environment, and the server that it names. Raises nothing for a failure."""
    examination = _Examination(url, transport)
    examination.run()
    done = examination.checks
    skipped = [Check(name, "skipped", f"not tried, because {done[-1].name} failed") for name in _NAMES[len(done) :]]
    return Diagnosis((*done, *skipped))


@dataclass(slots=True)
class _Examination:
    url: str | None
    transport: str | None
    checks: list[Check] = field(default_factory=list)

    def run(self) -> None:
        """Stop at the first check without which the next ones mean nothing."""
        settings = self._configuration()
        client = None if settings is None else self._client(settings)
        if client is None:
            return
        with client:
            if self._reachable(client):
                self._read(client)

    def _ok(self, name: CheckName, found: str) -> None:
        self.checks.append(Check(name, "ok", _for_display(found)))

    def _failed(self, name: CheckName, found: str, advice: str) -> None:
        self.checks.append(Check(name, "failed", _for_display(found), _for_display(advice)))

    def _configuration(self) -> Settings | None:
        url = os.environ.get("MEMTRACE_BASE_URL") if self.url is None else self.url
        problems: list[tuple[str, str]] = []
        if not url:
            problems.append(("no address", "pass --url, or set MEMTRACE_BASE_URL to the server's address"))
        if not os.environ.get("MEMTRACE_API_KEY"):
            problems.append(("no key", "set MEMTRACE_API_KEY: a key is never taken from the command line"))
        try:
            settings = resolve(
                url or "memory://",
                os.environ.get("MEMTRACE_API_KEY") or "none",
                timeout=DEFAULT_TIMEOUT,
                middleware=(),
                attempt_middleware=(),
                headers=None,
                clock=None,
            )
        except ConfigurationError as error:
            problems.append((error.message, error.hint or "correct the option or the variable"))
        else:
            if not problems:
                self._ok("configuration", self._described(settings))
                return settings
        self._failed("configuration", *("; ".join(texts) for texts in zip(*problems, strict=True)))
        return None

    def _described(self, settings: Settings) -> str:
        source = "MEMTRACE_BASE_URL" if self.url is None else "--url"
        address = re.sub(r"//[^/]*@", "//***@", str(settings.base_url)).partition("?")[0]
        return f"{address} from {source}, key from MEMTRACE_API_KEY, {settings.timeout:g} s an attempt"

    def _client(self, settings: Settings) -> Memtrace | None:
        try:
            selection = select_transport(self.transport, settings.base_url.transport, asynchronous=False)
            client = Memtrace(self.url, transport=self.transport)
        except ConfigurationError as error:
            self._failed("transport", error.message, error.hint or "see what is there with: memtrace-sdk transports")
            return None
        note = " (a fake in this process, not a server)" if selection.name == "memory" else ""
        self._ok("transport", f"{selection.name}{note}, because {selection.reason}")
        return client

    def _reachable(self, client: Memtrace) -> bool:
        try:
            health = client.health()
        except MemtraceError as error:
            self._failed("reachable", error.message, error.hint or _ANOTHER_SERVER)
        except Exception as error:  # noqa: BLE001  # a transport that others wrote may raise anything
            self._failed("reachable", f"the transport raised {type(error).__name__}: {error}", "tell its authors")
        else:
            self._ok("reachable", f"{health.service} answers, status {health.status}, up {health.uptime}")
            return True
        return False

    def _read(self, client: Memtrace) -> None:
        """One cheap read that needs a good key and storage; what comes back tells them apart."""
        try:
            client.memories.list(limit=1)
        except AuthenticationError as error:
            self._failed("key", error.message, "set MEMTRACE_API_KEY to a key of this server; ask an admin for one")
        except NoArcInstanceError as error:
            self._ok("key", "the server accepts it")
            self._failed("storage", error.message, error.hint or _ADD_STORAGE)
        except MemtraceError as error:
            self._refused(error)
        else:
            self._ok("key", "the server accepts it")
            self._ok("storage", "ready, memories can be read")

    def _refused(self, error: MemtraceError) -> None:
        """Tell the server's own 500, which needs a good key, from what never came as far as its storage."""
        if error.status_code == 500:
            self._ok("key", "the server accepts it")
            self._failed("storage", error.message, "ask an admin whether the organisation's Arc instance is running")
        else:
            self._failed("key", f"could not be tried: {error.message}", error.hint or _PROXY)


_ANOTHER_SERVER = "check that this is the address of a Memtrace server"
_ADD_STORAGE = "ask an admin to run `memtrace org add-arc <org_id>`"
_PROXY = "look at what stands between here and the server, then try again"


# what the SDK calls its arguments, and what they are here
_OPTIONS = {
    "base_url (MEMTRACE_BASE_URL)": "--url (MEMTRACE_BASE_URL)",
    "api_key (MEMTRACE_API_KEY)": "MEMTRACE_API_KEY",
    "timeout (MEMTRACE_TIMEOUT)": "MEMTRACE_TIMEOUT",
    "timeout= (MEMTRACE_TIMEOUT)": "MEMTRACE_TIMEOUT",
}


def _for_display(text: str) -> str:
    """In the console's words, and without the key: a server, or a proxy in front of it, may repeat it in its answer."""
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    key = os.environ.get("MEMTRACE_API_KEY")
    return re.sub(rf"(?<![0-9A-Za-z]){re.escape(key)}(?![0-9A-Za-z])", "***", text) if key else text
