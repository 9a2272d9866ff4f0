"""An assistant built with AutoGen that remembers from one run to the next.

    pip install "memtrace-sdk[autogen]" autogen-agentchat "autogen-ext[openai]"
    python examples/autogen_agent.py "I am allergic to peanuts."
    python examples/autogen_agent.py "May I eat peanuts?"

With OPENAI_API_KEY it asks OpenAI, without it a scripted model. Memories are kept in agent.db, or on the server that
MEMTRACE_BASE_URL names.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import TextMessage
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from pydantic import BaseModel

from memtrace import AsyncMemtrace
from memtrace.integrations.autogen import MemtraceMemory


class Scripted(ChatCompletionClient):
    """Repeats what it was told, where there is no key for a provider's model."""

    component_config_schema = BaseModel

    async def create(self, messages: Sequence[LLMMessage], **_: Any) -> CreateResult:
        """Answer with the lines of the memories that are in the context."""
        lines = [line for message in messages for line in str(message.content).splitlines()]
        known = [line for line in lines if line.startswith("user: ")]
        answer = "\n".join(["I know:", *known]) if known else "Noted."
        return CreateResult(content=answer, usage=self.actual_usage(), finish_reason="stop", cached=False)

    async def create_stream(self, messages: Sequence[LLMMessage], **_: Any) -> AsyncGenerator[str | CreateResult, None]:
        """Answer in one piece."""
        yield await self.create(messages)

    async def close(self) -> None:
        """Close nothing."""

    def actual_usage(self) -> RequestUsage:
        """Return no tokens."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        """Return no tokens."""
        return self.actual_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        """Return no tokens."""
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        """Return that there is room."""
        return 100_000

    @property
    def capabilities(self) -> ModelInfo:
        """Return the same as `model_info`, under its older name."""
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """Return what the model can do."""
        return ModelInfo(
            vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False
        )


def model() -> ChatCompletionClient:
    """The provider's model if there is a key, otherwise the scripted one."""
    if "OPENAI_API_KEY" in os.environ:
        from autogen_ext.models.openai import OpenAIChatCompletionClient

        return OpenAIChatCompletionClient(model="gpt-5-mini")
    return Scripted()


async def main(question: str) -> None:
    """Load what matters for the question, answer it, and remember both."""
    async with AsyncMemtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///agent.db")) as client:
        memory = MemtraceMemory(client, agent_id="assistant")
        agent = AssistantAgent("assistant", model(), memory=[memory])
        result = await agent.run(task=question)
        last = result.messages[-1]
        answer = last.content if isinstance(last, TextMessage) else ""
        print(answer)
        for text in (f"user: {question}", f"assistant: {answer}"):
            await memory.add(MemoryContent(content=text, mime_type=MemoryMimeType.TEXT))


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "I am allergic to peanuts."))
