"""The Claude Agent SDK's session store."""

from __future__ import annotations

from weakref import WeakValueDictionary

import anyio
import claude_agent_sdk as sdk

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations.claude_agent_sdk._transcript_index import Transcript, TranscriptIndex
from memtrace.integrations.claude_agent_sdk._transcripts import EVENT_TYPE, Writer, entries_of
from memtrace.operations._validation import check_non_negative_seconds, require_non_empty

_KNOWN = 10_000
"""Transcripts whose session is not looked up anew for each append."""

_Place = tuple[str, str, str | None]


class MemtraceSessionStore(sdk.SessionStore):
    """Store the Claude Agent SDK's transcripts, for ``ClaudeAgentOptions(session_store=...)``.

    Each project is an agent, named `prefix` and the project's key. Each transcript is a session.
    Each append is one memory or several. After an error the SDK may retry: entries with a ``uuid``
    are stored once. `delete` hides a transcript; the server keeps it.

    Every method raises `MemtraceError` if the server cannot be reached or rejects a request. It
    runs on asyncio and on trio.

    Args:
        client: The client.
        prefix: What the agents' names begin with, not empty.
        wait_timeout: Seconds that an append waits until it can be read, 0 or more.

    Raises:
        InvalidRequestError: `wait_timeout` is negative or not a number, or `prefix` is empty.
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
        """Append entries to a transcript. The appends of one store to one transcript stay in order.

        Args:
            key: The transcript.
            entries: The entries, in order.

        Raises:
            MemtraceError: Some entries could not be stored, or could not be read within
                `wait_timeout`.
        """
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
        """Read a transcript.

        Args:
            key: The transcript.

        Returns:
            Its entries in order. None if nothing was appended, or it was deleted.

        Raises:
            MemtraceError: The transcript could not be read.
        """
        rows = [
            memory
            for transcript in await self._transcript_index.find(key)
            async for memory in self._client.memories.iter(
                agent_id=transcript.agent_id, session_id=transcript.id, event_type=EVENT_TYPE, order="asc"
            )
        ]
        return entries_of(rows) or None

    async def list_sessions(self, project_key: str) -> list[sdk.SessionStoreListEntry]:
        """List the sessions of a project.

        Args:
            project_key: The project.

        Returns:
            The sessions, with the time of their last change in milliseconds since 1970.

        Raises:
            MemtraceError: The sessions could not be read.
        """
        mtimes: dict[str, int] = {}
        for each in await self._main_transcripts(project_key):
            mtimes[each.session_id] = max(each.mtime, mtimes.get(each.session_id, 0))
        return [{"session_id": session_id, "mtime": mtime} for session_id, mtime in mtimes.items()]

    async def list_session_summaries(self, project_key: str) -> list[sdk.SessionSummaryEntry]:
        """Read the summaries of a project's sessions.

        A session that two processes began at the same time has no summary here. The SDK creates one
        with `load`.

        Args:
            project_key: The project.

        Returns:
            The summaries.

        Raises:
            MemtraceError: The summaries could not be read.
        """
        by_session: dict[str, list[Transcript]] = {}
        for each in await self._main_transcripts(project_key):
            by_session.setdefault(each.session_id, []).append(each)
        summaries = [found[0].summary_entry() for found in by_session.values() if len(found) == 1]
        return [summary for summary in summaries if summary is not None]

    async def _main_transcripts(self, project_key: str) -> list[Transcript]:
        return [each for each in await self._transcript_index.of_project(project_key) if each.subpath is None]

    async def delete(self, key: sdk.SessionKey) -> None:
        """Hide a subagent's transcript, or a session with all its subagents' transcripts.

        A later append begins a new transcript.

        Args:
            key: The transcript.

        Raises:
            MemtraceError: The deletion could not be stored.
        """
        found = await self._transcript_index.of_session(key["project_key"], key["session_id"])
        for each in found:
            if "subpath" not in key or each.subpath == key["subpath"]:
                await self._transcript_index.delete(each)

    async def list_subkeys(self, key: sdk.SessionListSubkeysKey) -> list[str]:
        """List the subpaths of a session's subagents.

        Args:
            key: The session.

        Returns:
            The subpaths, sorted.

        Raises:
            MemtraceError: The sessions could not be read.
        """
        found = await self._transcript_index.of_session(key["project_key"], key["session_id"])
        return sorted({each.subpath for each in found if each.subpath is not None})
