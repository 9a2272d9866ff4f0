"""Which transcripts there are: a project is an agent, a transcript is a session of it, what is known of it its metadata.

Agents and sessions can be read at once after they were written, unlike memories.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from claude_agent_sdk import SessionKey, SessionSummaryEntry

if TYPE_CHECKING:
    from memtrace.async_client import AsyncMemtrace
    from memtrace.models import Session

_DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Transcript:
    """One session of the server that holds a transcript, or the part of it that one process has written."""

    agent_id: str
    #: The id of the server's session.
    id: str
    #: The id of the SDK's session.
    session_id: str
    #: Of a subagent's transcript.
    subpath: str | None
    #: When it was last changed, in milliseconds since 1970.
    mtime: int
    #: What `fold_session_summary` keeps; None where nothing was noted.
    summary: Mapping[str, object] | None = field(repr=False)

    def summary_entry(self) -> SessionSummaryEntry | None:
        """Its summary as the SDK knows it."""
        if self.summary is None:
            return None
        return {"session_id": self.session_id, "mtime": self.mtime, "data": dict(self.summary)}


class TranscriptIndex:
    """The transcripts of all projects whose agents' names begin with `prefix`."""

    def __init__(self, client: AsyncMemtrace, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._agents: dict[str, str] = {}  # an agent that has a session is never deleted

    async def of_project(self, project_key: str) -> list[Transcript]:
        """All transcripts of a project that were not deleted, the oldest first."""
        agent_id = await self._agent(project_key)
        if agent_id is None:
            return []
        sessions = (await self._client.sessions.list(agent_id)).sessions
        found = [_transcript_of(session) for session in reversed(sessions)]
        return [transcript for transcript in found if transcript is not None]

    async def of_session(self, project_key: str, session_id: str) -> list[Transcript]:
        """The transcripts of one session and its subagents that were not deleted, the oldest first."""
        return [each for each in await self.of_project(project_key) if each.session_id == session_id]

    async def find(self, key: SessionKey) -> list[Transcript]:
        """What holds this transcript: one session, or several where processes began it at the same time."""
        found = await self.of_session(key["project_key"], key["session_id"])
        return [each for each in found if each.subpath == key.get("subpath")]

    async def get(self, transcript_id: str) -> Transcript | None:
        """One by the id of the server's session; None where it was deleted."""
        return _transcript_of(await self._client.sessions.get(transcript_id))

    async def create(self, key: SessionKey) -> Transcript:
        """A new one, empty."""
        name = self._prefix + key["project_key"]
        agent = await self._client.agents.get_or_register(name=name, description="Transcripts of the Claude Agent SDK")
        self._agents[key["project_key"]] = agent.id
        metadata = {"claude_session_id": key["session_id"]}
        if "subpath" in key:
            metadata["claude_subpath"] = key["subpath"]
        created = _transcript_of(await self._client.sessions.create(agent_id=agent.id, metadata=metadata))
        return cast("Transcript", created)

    async def note(self, transcript: Transcript, summary: SessionSummaryEntry) -> None:
        """Keep a new summary; the time of that is the transcript's `mtime`."""
        # As text: the server changes large numbers and the order of keys.
        metadata = {"claude_session_id": transcript.session_id, "claude_summary": json.dumps(summary["data"])}
        await self._client.sessions.update(transcript.id, metadata=metadata)

    async def delete(self, transcript: Transcript) -> None:
        """Mark one as deleted: the server keeps sessions and memories for ever."""
        await self._client.sessions.update(transcript.id, status=_DELETED)

    async def _agent(self, project_key: str) -> str | None:
        if project_key not in self._agents:
            name = self._prefix + project_key
            for agent in (await self._client.agents.list()).agents:
                if agent.name == name:
                    self._agents[project_key] = agent.id
        return self._agents.get(project_key)


def _transcript_of(session: Session) -> Transcript | None:
    """What a session holds; None for a deleted one, and for one that is not of our making."""
    metadata = session.metadata or {}
    session_id, subpath = metadata.get("claude_session_id"), metadata.get("claude_subpath")
    if session.status == _DELETED or not isinstance(session_id, str):
        return None
    noted = metadata.get("claude_summary")
    summary = cast("Mapping[str, object]", json.loads(noted)) if isinstance(noted, str) else None
    mtime = int(session.updated_at.timestamp() * 1000)
    return Transcript(session.agent_id, session.id, session_id, cast("str | None", subpath), mtime, summary)
