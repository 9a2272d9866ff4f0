"""An agent of Strands that remembers its user: it reads what matters to the question, answers, and remembers.

    pip install "memtrace-sdk[strands]" "strands-agents[openai]"
    python strands_agent.py "I drink tea without sugar."
    python strands_agent.py "What do I drink?"

With OPENAI_API_KEY in the environment OpenAI answers, without it a scripted model. The memories and the conversation are in
the file memories.db, or on the server that MEMTRACE_BASE_URL and MEMTRACE_API_KEY name.
"""

import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from strands import Agent
from strands.memory import MemoryManager
from strands.models import Model
from strands.session.repository_session_manager import RepositorySessionManager

from memtrace import AsyncMemtrace, Memtrace
from memtrace.integrations.strands import MemtraceMemoryStore, MemtraceSessionRepository

URL = os.environ.get("MEMTRACE_BASE_URL", "sqlite:///memories.db")


def ask(question: str) -> str:
    """Answer one question of one user."""
    with Memtrace(URL) as client:
        repository = MemtraceSessionRepository(client, agent_id="conversations")
        agent = Agent(
            model=model(),
            system_prompt="Remember what the user tells about themselves.",
            callback_handler=None,
            memory_manager=MemoryManager(
                stores=[MemtraceMemoryStore(AsyncMemtrace(URL), agent_id="ines")], add_tool_config=True
            ),
            session_manager=RepositorySessionManager(session_id="ines", session_repository=repository),
        )
        return str(agent(question)).strip()


class Scripted(Model):
    """Remembers what it is told, and answers questions with what it finds in its prompt."""

    async def stream(self, messages: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Answer with a text or a tool call."""
        texts = [block["text"] for block in messages[-1]["content"] if "text" in block]
        delta: dict[str, Any] = {"text": "\n".join(["This is what I know:", *texts]) if texts else "Noted."}
        start: dict[str, Any] = {}
        told = [text for text in texts if "<memory>" not in text and not text.endswith("?")]
        if told:
            start = {"toolUse": {"name": "add_memory", "toolUseId": "1"}}
            delta = {"toolUse": {"input": json.dumps({"entries": told})}}
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": start}}
        yield {"contentBlockDelta": {"delta": delta}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if start else "end_turn"}}

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        """Not asked for here."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """It has no settings."""
        return {}

    def update_config(self, **config: Any) -> None:
        """It has no settings."""


def model() -> Model:
    """The provider's model, or a scripted one."""
    if not os.environ.get("OPENAI_API_KEY"):
        return Scripted()
    from strands.models.openai import OpenAIModel

    return OpenAIModel(model_id="gpt-5-mini")


if __name__ == "__main__":
    print(ask(" ".join(sys.argv[1:]) or "What do I drink?"))
