"""An agent of Microsoft Agent Framework that remembers its user: it reads what matters, answers, and remembers.

    pip install "memtrace-sdk[agent-framework]" agent-framework-openai
    python agent_framework_agent.py "I drink tea without sugar."
    python agent_framework_agent.py "What do I drink?"

With OPENAI_API_KEY in the environment OpenAI answers, without it a scripted model. The memories and the conversation are in
the file memories.db, or on the server that MEMTRACE_BASE_URL and MEMTRACE_API_KEY name.
"""

import asyncio
import os
import sys
from typing import Any

from agent_framework import Agent, AgentSession, BaseChatClient, ChatResponse, Content, FunctionInvocationLayer, Message

from memtrace import AsyncMemtrace
from memtrace.integrations.agent_framework import MemtraceContextProvider, MemtraceHistoryProvider


async def ask(question: str) -> str:
    """Answer one question of one user."""
    async with AsyncMemtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///memories.db")) as client:
        agent = Agent(
            model(),
            instructions="Remember what the user tells about themselves.",
            context_providers=[
                MemtraceHistoryProvider(client, agent_id="conversations", max_messages=50),
                MemtraceContextProvider(client, agent_id="ines"),
            ],
        )
        result = await agent.run(question, session=AgentSession(session_id="ines"))
        return result.text


class Scripted(FunctionInvocationLayer, BaseChatClient):
    """Remembers what it is told, and answers questions with what it finds in its prompt."""

    async def _inner_get_response(self, *, messages: Any, **kwargs: Any) -> ChatResponse:
        *before, last = messages
        if last.role == "tool":
            content = Content.from_text("Noted.")
        elif last.text.endswith("?"):
            content = Content.from_text("\n".join(["This is what I know:", *(message.text for message in before)]))
        else:
            content = Content.from_function_call("1", "remember", arguments={"content": last.text})
        return ChatResponse(messages=Message("assistant", [content]))


def model() -> Any:
    """The provider's model, or a scripted one."""
    if not os.environ.get("OPENAI_API_KEY"):
        return Scripted()
    from agent_framework.openai import OpenAIChatClient

    return OpenAIChatClient(model="gpt-5-mini")


if __name__ == "__main__":
    print(asyncio.run(ask(" ".join(sys.argv[1:]) or "What do I drink?")))
