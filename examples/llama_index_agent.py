"""An assistant built with LlamaIndex that remembers from one run to the next.

    pip install "memtrace-sdk[llama-index]" llama-index-llms-openai
    python examples/llama_index_agent.py "I am allergic to peanuts."
    python examples/llama_index_agent.py "May I eat peanuts?"

With OPENAI_API_KEY it asks OpenAI, without it a scripted model. Memories are kept in agent.db, or on the server that
MEMTRACE_BASE_URL names.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
import warnings
from collections.abc import Sequence

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import Memory

from memtrace import AsyncMemtrace
from memtrace.integrations.llama_index import MemtraceChatStore, MemtraceMemoryBlock

warnings.filterwarnings("ignore", category=DeprecationWarning, module="pydantic")  # of LlamaIndex's agents


def model() -> FunctionCallingLLM:
    """The provider's model if there is a key, otherwise a scripted one that repeats what it was told."""
    if "OPENAI_API_KEY" in os.environ:
        from llama_index.llms.openai import OpenAI

        return OpenAI(model="gpt-5-mini")
    from llama_index.core.llms.mock import MockFunctionCallingLLM

    def respond(messages: Sequence[ChatMessage], **_: object) -> ChatMessage:
        known = [line for line in (messages[0].content or "").splitlines() if "user:" in line]
        return ChatMessage(role="assistant", content="\n".join(["I know:", *known]) if known else "Noted.")

    return MockFunctionCallingLLM(response_generator=respond, is_chat_model=True)


async def main(question: str) -> None:
    """Load what matters for the question, answer it, and remember both."""
    async with AsyncMemtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///agent.db")) as client:
        block = MemtraceMemoryBlock(client, agent_id="assistant")
        memory = Memory.from_defaults(
            session_id=uuid.uuid4().hex,
            chat_store=MemtraceChatStore(client, agent_id="assistant"),
            memory_blocks=[block],
        )
        agent = FunctionAgent(llm=model(), tools=[])
        answer = str(await agent.run(user_msg=question, memory=memory))
        print(answer)
        await block.aput([ChatMessage(role="user", content=question), ChatMessage(role="assistant", content=answer)])


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "I am allergic to peanuts."))
