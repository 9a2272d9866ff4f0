"""An entry of a session: its path, the value that restores it, readable content, and the event type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from strands.types.session import SessionAgent, SessionMessage

from memtrace.integrations.strands._session_files import path_of

if TYPE_CHECKING:
    from strands.multiagent import MultiAgentBase
    from strands.types.content import ContentBlock

Entry = tuple[str, dict[str, Any], str, str]


def state_entry(agent: SessionAgent) -> Entry:
    """The state of an agent."""
    return path_of("agents", agent.agent_id), agent.to_dict(), f"State of the agent {agent.agent_id}", "agent_state"


def multi_agent_entry(multi_agent: MultiAgentBase) -> Entry:
    """The state of a graph or swarm."""
    path = path_of("multi_agents", multi_agent.id)
    return path, multi_agent.serialize_state(), f"State of {multi_agent.id}", "multi_agent_state"


def message_entry(agent_id: str, message: SessionMessage) -> Entry:
    """A message of an agent's conversation."""
    path, value, content = path_of("messages", agent_id, message.message_id), message.to_dict(), message.to_message()
    text = "\n".join(filter(None, map(_readable, content["content"])))
    return path, value, text or f"Message {message.message_id}", f"{content['role']}_message"


def _readable(block: ContentBlock) -> str:
    """What a person would read of a part of a message; the kinds of parts without text."""
    if "text" in block:
        return block["text"]
    if "toolUse" in block:
        return f"{block['toolUse']['name']}({json.dumps(block['toolUse']['input'], ensure_ascii=False, default=str)})"
    if "toolResult" in block:
        return "\n".join(str(part.get("text") or f"[{', '.join(part)}]") for part in block["toolResult"]["content"])
    return f"[{', '.join(block)}]"
