"""Files that change, on a server where nothing does: each version is a record that names the one it replaces.

Two writers may replace one version at the same moment. Of the records that name it, the earliest counts, for every reader,
and the others never do. So a writer that reads again after its write knows whether it succeeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._records import Record, RecordCodec, hex_digest, json_text, unreadable, write

_PUT, _DELETED = "put", "deleted"
_FEW = 20


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file: its own name, the one it replaces, and its value. No value: the file was deleted."""

    path: str
    key: str
    replaces: str | None
    value: dict[str, Any] | None = field(repr=False)
    #: Whether there was a file before.
    existed: bool
    #: What the writer calls its write, and what it asked for.
    operation: tuple[str, str] | None = None


class VersionedFiles:
    """The files that one agent keeps under one name of a format. A path has slashes."""

    def __init__(self, form: RecordCodec, wait_timeout: float) -> None:
        self._form = form
        self._wait_timeout = wait_timeout

    def current(self, path: str, clock: Clock) -> Workflow[Version | None]:
        """The version of a path that counts now; None where there never was one."""
        return _head((yield from self._latest(path, None, clock)))

    def live(self, folder: str, clock: Clock) -> Workflow[dict[str, dict[str, Any]]]:
        """The values of the files below a folder, which ends with a slash or is empty, by path."""
        tags = [_tag("folder", folder)] if folder else []
        moments = self._form.newest_first(clock, tags=tags)
        versions: dict[str, list[Version]] = {}
        while (records := (yield from moments.next())) is not None:
            for record in records:
                version = self._version(record)
                versions.setdefault(version.path, []).append(version)
        heads = ((path, _head(found)) for path, found in versions.items())
        return {path: head.value for path, head in heads if head is not None and head.value is not None}

    def done(self, operation: str, clock: Clock) -> Workflow[Version | None]:
        """The version that this operation wrote, if it counts or counted."""
        moments = self._form.newest_first(clock, page_size=_FEW, tags=[_tag("operation", operation)])
        while (records := (yield from moments.next())) is not None:
            for version in map(self._version, records):
                if (yield from self.counts(version, clock)):
                    return version
        return None

    def counts(self, version: Version, clock: Clock) -> Workflow[bool]:
        """Whether a version counts or counted: no earlier one replaces the same."""
        found = yield from self._latest(version.path, version, clock)
        return _first_to_replace(version.replaces, found) == version

    def replace(
        self,
        path: str,
        replaces: Version | None,
        value: dict[str, Any] | None,
        clock: Clock,
        *,
        content: str,
        operation: tuple[str, str] | None = None,
        event_type: str | None = None,
    ) -> Workflow[Version]:
        """Store a version and wait until it can be read. Whether it counts, `counts` knows."""
        key = None if replaces is None else replaces.key
        existed = replaces is not None and replaces.value is not None
        item = {"path": path, "replaces": key, "value": value, "existed": existed, "operation": operation}
        folders = [path[: at + 1] for at, char in enumerate(path) if char == "/"]
        request = self._form.request(
            _DELETED if value is None else _PUT,
            json_text(item, "value"),
            content=content,
            event_type=event_type or ("file_deleted" if value is None else "file_written"),
            tags=[
                _tag("path", path),
                *(_tag("folder", folder) for folder in folders),
                *([] if operation is None else [_tag("operation", operation[0])]),
            ],
        )
        (stored,) = yield from write([request], self._wait_timeout, clock)
        return Version(path, stored.dedup_key or "", key, value, existed, operation)

    def _latest(self, path: str, until: Version | None, clock: Clock) -> Workflow[list[Version]]:
        """The newest versions of a path, newest first, down to one that another names; or to what `until` replaces."""
        moments = self._form.newest_first(clock, page_size=_FEW, tags=[_tag("path", path)])
        found: list[Version] = []
        named: set[str | None] = set() if until is None else {until.replaces}
        while (records := (yield from moments.next())) is not None:
            for version in map(self._version, records):
                found.append(version)
                if version.key in named:
                    return found
                if until is None:
                    named.add(version.replaces)
        return found

    def _version(self, record: Record) -> Version:
        try:
            item = record.item
            operation = None if item["operation"] is None else tuple(item["operation"])
            return Version(item["path"], record.key, item["replaces"], item["value"], item["existed"], operation)
        except (KeyError, TypeError):
            raise unreadable(self._form.name, "path, version and value") from None


def _head(found: Sequence[Version]) -> Version | None:
    """The version that counts, of some that are complete from the oldest on."""
    successors = _successors(found)
    oldest = found[-1] if found else None
    at = oldest if oldest is not None and oldest.key in successors else successors.get(None)
    while at is not None and at.key in successors:
        at = successors[at.key]
    return at


def _successors(found: Sequence[Version]) -> dict[str | None, Version]:
    """By the key of a version, the earliest that replaces it; by None, the first of its path."""
    return {version.replaces: version for version in found}  # newest first, so that the earliest stays


def _first_to_replace(key: str | None, found: Sequence[Version]) -> Version | None:
    return _successors(found).get(key)


def _tag(kind: str, text: str) -> str:
    return f"{kind}-{hex_digest(text)}"
