"""Sessions, states and messages as versioned files of one agent of Memtrace. Failures are Strands' `SessionException`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from strands.types.exceptions import SessionException

from memtrace._runtime.workflows.steps import Workflow
from memtrace.client import Memtrace
from memtrace.exceptions import MemtraceError
from memtrace.integrations._dual_client import dispatcher
from memtrace.integrations._records import RecordCodec, event_type_of
from memtrace.integrations._versions import Version, VersionedFiles
from memtrace.integrations.identifiers import id_for
from memtrace.operations._validation import check_non_negative_seconds, require_id

T = TypeVar("T")

_FORMAT = "strands"
_MOST_ATTEMPTS = 10


def path_of(*names: str | int) -> str:
    """A path of these names, which may be any strings."""
    return "/".join(quote(str(name), safe="", errors="surrogatepass") for name in names)


class SessionFiles:
    """The files of all sessions that one agent of Memtrace keeps."""

    def __init__(self, client: Memtrace, agent_id: str, wait_timeout: float) -> None:
        self._dispatcher = dispatcher(client, "MemtraceSessionRepository")
        require_id(agent_id, "agent_id")
        check_non_negative_seconds(wait_timeout, "wait_timeout")
        self._clock = self._dispatcher.settings.clock
        self._agent_id = agent_id
        self._wait_timeout = wait_timeout

    def read(self, session_id: str, path: str) -> dict[str, Any] | None:
        """The value at a path; None where there is none."""
        found = self._run(session_id, lambda files: files.current(path, self._clock))
        return None if found is None else found.value

    def below(self, session_id: str, folder: str) -> list[dict[str, Any]]:
        """The values in a folder, in no order."""
        return [*self._run(session_id, lambda files: files.live(f"{folder}/", self._clock)).values()]

    def create(self, session_id: str, path: str, value: dict[str, Any], content: str, event: str) -> None:
        """Store a first value. Of two writers at the same moment, the second gets a `SessionException`."""

        def workflow(files: VersionedFiles) -> Workflow[bool]:
            current = yield from files.current(path, self._clock)
            if current is not None:
                return current.value == value  # a retry
            written = yield from files.replace(
                path, None, value, self._clock, content=content, event_type=event_type_of(event)
            )
            return (yield from files.counts(written, self._clock))

        if not self._run(session_id, workflow):
            raise SessionException(
                f"{path} of the session {session_id!r} exists already; another program may have written it"
            )

    def put(self, session_id: str, path: str, value: dict[str, Any], content: str, event: str) -> None:
        """Store a value, whether there is one or not."""
        self._run(session_id, lambda files: self._replaced(files, path, value, content, event, must_exist=False))

    def update(self, session_id: str, path: str, value: dict[str, Any], content: str, event: str) -> None:
        """Replace a value, which keeps the time of its creation. Raises `SessionException` where there is none."""
        if not self._run(session_id, lambda files: self._replaced(files, path, value, content, event, must_exist=True)):
            raise SessionException(f"{path} of the session {session_id!r} does not exist")

    def _replaced(
        self, files: VersionedFiles, path: str, value: dict[str, Any], content: str, event: str, *, must_exist: bool
    ) -> Workflow[bool]:
        for _ in range(_MOST_ATTEMPTS):
            current = yield from files.current(path, self._clock)
            if must_exist and current is None:
                return False
            written = yield from files.replace(
                path, current, _dated(value, current), self._clock, content=content, event_type=event_type_of(event)
            )
            if (yield from files.counts(written, self._clock)):
                return True
        raise SessionException(
            f"{path} changed {_MOST_ATTEMPTS} times while it was written; other programs write it too"
        )

    def _run(self, session_id: str, workflow: Callable[[VersionedFiles], Workflow[T]]) -> T:
        try:
            form = RecordCodec(_FORMAT, self._agent_id, id_for(session_id), memory_type="session")
            return self._dispatcher.run(workflow(VersionedFiles(form, self._wait_timeout)))
        except MemtraceError as error:
            raise SessionException(str(error)) from error


def _dated(value: dict[str, Any], before: Version | None) -> dict[str, Any]:
    """The value with the time at which the first version was created."""
    if before is None or before.value is None or "created_at" not in before.value:
        return value
    return {**value, "created_at": before.value["created_at"]}
