"""The Claude Agent SDK's session store."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
import claude_agent_sdk as sdk

from memtrace.integrations.claude_agent_sdk._transcript_index import Transcript, TranscriptIndex
from memtrace.integrations.claude_agent_sdk._transcripts import EVENT_TYPE, Writer, entries_of
from memtrace.operations._validation import check_non_negative_seconds, require_non_empty

if TYPE_CHECKING:
    from memtrace.async_client import AsyncMemtrace

_KNOWN = 10_000
"""Transcripts whose session is not looked up anew for each append."""

_Place = tuple[str, str, str | None]


class MemtraceSessionStore(sdk.SessionStore):
    """Keeps the Claude Agent SDK's transcripts; for ``ClaudeAgentOptions(session_store=...)``.

    Each project is an agent named `prefix` and the project's key, each transcript a session of it, each append one memory
    or several. An append returns once it can be read, for `wait_timeout` seconds at most, and an error of it means that
    the SDK may try again: entries with a ``uuid`` are kept once. `delete` hides; the server keeps what was written.

    All methods raise `MemtraceError`. It runs on asyncio and on trio.
    Raises `InvalidRequestError` for a `wait_timeout` that is no number of seconds, and an empty `prefix`.
    """

    def __init__(self, client: AsyncMemtrace, *, prefix: str = "claude-agent-sdk:", wait_timeout: float = 5.0) -> None:
        require_non_empty(prefix, "prefix")
        check_non_negative_seconds(wait_timeout, "wait_timeout")
        self._client = client
        self._wait_timeout = wait_timeout
        self._transcript_index = TranscriptIndex(client, prefix)
        self._writer = Writer()
        self._written: dict[_Place, str] = {}
        self._locks: WeakValueDictionary[_Place, anyio.Lock] = WeakValueDictionary()

    async def append(self, key: sdk.SessionKey, entries: list[sdk.SessionStoreEntry]) -> None:
        """Add entries to a transcript, all of them or none; the appends of one store to one transcript in their order."""
        if not entries:
            return
        place = (key["project_key"], key["session_id"], key.get("subpath"))
        lock = self._locks.setdefault(place, anyio.Lock())
        async with lock:
            transcript = await self._transcript(place, key)
            await self._store(transcript, entries)
            if transcript.subpath is None:
                summary = sdk.fold_session_summary(transcript.summary_entry(), key, entries)
                await self._transcript_index.note(transcript, summary)

    async def _transcript(self, place: _Place, key: sdk.SessionKey) -> Transcript:
        """Where to write, with the summary as it is now; a new one where there is none, or where it was deleted."""
        known = self._written.get(place)
        transcript = None if known is None else await self._transcript_index.get(known)
        if transcript is None:
            found = await self._transcript_index.find(key)
            transcript = found[0] if found else await self._transcript_index.create(key)
            self._written[place] = transcript.id
            if len(self._written) > _KNOWN:
                del self._written[next(iter(self._written))]
        return transcript

    async def _store(self, transcript: Transcript, entries: list[sdk.SessionStoreEntry]) -> None:
        requests = self._writer.memories(transcript.agent_id, transcript.id, entries)
        result = await self._client.memories.add_many(requests)
        result.raise_for_failures()
        for memory in result.stored:
            await self._client.memories.wait_until_visible(memory, timeout=self._wait_timeout)

    async def load(self, key: sdk.SessionKey) -> list[sdk.SessionStoreEntry] | None:
        """A transcript's entries in order; None where nothing was appended, or it was deleted."""
        rows = [
            memory
            for transcript in await self._transcript_index.find(key)
            async for memory in self._client.memories.iter(
                agent_id=transcript.agent_id, session_id=transcript.id, event_type=EVENT_TYPE, order="asc"
            )
        ]
        return entries_of(rows) or None

    async def list_sessions(self, project_key: str) -> list[sdk.SessionStoreListEntry]:
        """The sessions of a project, and when they were last changed, in milliseconds since 1970."""
        mtimes: dict[str, int] = {}
        for each in await self._main_transcripts(project_key):
            mtimes[each.session_id] = max(each.mtime, mtimes.get(each.session_id, 0))
        return [{"session_id": session_id, "mtime": mtime} for session_id, mtime in mtimes.items()]

    async def list_session_summaries(self, project_key: str) -> list[sdk.SessionSummaryEntry]:
        """The summaries of a project's sessions.

        Without those that two processes began at the same time, which have no summary of the whole: the SDK makes one by `load`.
        """
        by_session: dict[str, list[Transcript]] = {}
        for each in await self._main_transcripts(project_key):
            by_session.setdefault(each.session_id, []).append(each)
        summaries = [found[0].summary_entry() for found in by_session.values() if len(found) == 1]
        return [summary for summary in summaries if summary is not None]

    async def _main_transcripts(self, project_key: str) -> list[Transcript]:
        return [each for each in await self._transcript_index.of_project(project_key) if each.subpath is None]

    async def delete(self, key: sdk.SessionKey) -> None:
        """Hide a subagent's transcript, or a session with all of its subagents'. What is appended later begins anew."""
        found = await self._transcript_index.of_session(key["project_key"], key["session_id"])
        for each in found:
            if "subpath" not in key or each.subpath == key["subpath"]:
                await self._transcript_index.delete(each)

    async def list_subkeys(self, key: sdk.SessionListSubkeysKey) -> list[str]:
        """The subpaths of a session's subagents."""
        found = await self._transcript_index.of_session(key["project_key"], key["session_id"])
        return sorted({each.subpath for each in found if each.subpath is not None})
