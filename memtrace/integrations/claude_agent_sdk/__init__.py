"""A session store for the Claude Agent SDK: its transcripts on Memtrace, to be resumed anywhere (extra ``claude-agent-sdk``)."""

from memtrace.integrations.claude_agent_sdk._session_store import MemtraceSessionStore

__all__ = ["MemtraceSessionStore"]
