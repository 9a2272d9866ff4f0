"""An agent of Pydantic AI that remembers its user: it reads what matters to the question, answers, and remembers.

    pip install "memtrace-sdk[pydantic-ai]" "pydantic-ai-slim[openai]"
    python pydantic_ai_agent.py "I drink tea without sugar."
    python pydantic_ai_agent.py "What do I drink?"

With OPENAI_API_KEY in the environment OpenAI answers, without it a scripted model. The memories are in the file memories.db,
or on the server that MEMTRACE_BASE_URL and MEMTRACE_API_KEY name.
"""

import asyncio
import os
import sys

from pydantic_ai import Agent
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from memtrace import AsyncMemtrace
from memtrace.integrations.pydantic_ai import MemtraceHistoryProcessor, MemtraceToolset


async def ask(question: str) -> str:
    """Answer one question of one user."""
    async with AsyncMemtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///memories.db")) as client:
        agent = Agent(
            model(),
            instructions="Remember what the user tells about themselves.",
            toolsets=[MemtraceToolset(client, agent_id="ines")],
            capabilities=[ProcessHistory(MemtraceHistoryProcessor(client, agent_id="ines"))],
        )
        result = await agent.run(question)
        return result.output


def model() -> Model | str:
    """The provider's model, or a scripted one."""
    return "openai:gpt-5-mini" if os.environ.get("OPENAI_API_KEY") else FunctionModel(scripted)


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Remembers what it is told, and answers questions with what it finds in its prompt."""
    prompts = [part.content for part in messages[-1].parts if isinstance(part, UserPromptPart)]
    if not prompts:
        return ModelResponse(parts=[TextPart("Noted.")])  # the tool has returned
    *memories, question = prompts
    if not str(question).endswith("?"):
        return ModelResponse(parts=[ToolCallPart("remember", {"content": str(question)})])
    known = [str(getattr(text, "content", text)) for part in memories for text in part]
    return ModelResponse(parts=[TextPart("\n".join(["This is what I know:", *known]))])


if __name__ == "__main__":
    print(asyncio.run(ask(" ".join(sys.argv[1:]) or "What do I drink?")))
