"""A chat with Claude that calls the memory tools, and remembers from one run to the next.

    pip install memtrace-sdk anthropic
    python examples/anthropic_messages.py "I am allergic to peanuts."
    python examples/anthropic_messages.py "May I eat peanuts?"

With ANTHROPIC_API_KEY it asks Anthropic, without it a scripted model. Memories are kept in agent.db, or on the server that
MEMTRACE_BASE_URL names.
"""

from __future__ import annotations

import os
import sys
from typing import cast

from memtrace import Memtrace
from memtrace.integrations.tools import MemoryTools

AGENT = "assistant"


def scripted(tools: MemoryTools, question: str) -> str:
    """The answer of a model that calls both tools once."""
    found = tools.call("search", {"query": question, "limit": 1}).text
    tools.call("remember", {"content": question})
    return f"I know: {found}"


def ask(tools: MemoryTools, question: str) -> str:
    """The answer of Claude, which calls the tools when it needs them."""
    from anthropic import Anthropic
    from anthropic.types import MessageParam, ToolParam, ToolResultBlockParam

    model, schemas = Anthropic(), cast("list[ToolParam]", tools.schemas("anthropic"))
    system = "Search your memory before you answer. Remember what the user says about himself. Answer in one sentence."
    messages: list[MessageParam] = [{"role": "user", "content": question}]
    while True:
        reply = model.messages.create(
            model="claude-sonnet-4-5", max_tokens=1024, system=system, messages=messages, tools=schemas
        )
        messages.append({"role": "assistant", "content": reply.content})
        results: list[ToolResultBlockParam] = []
        for block in reply.content:
            if block.type == "tool_use":
                result = tools.call(block.name, block.input)
                results.append(
                    {
                        "type": "tool_result",
                        "tool_use_id": block.id,
                        "content": result.text,
                        "is_error": result.is_error,
                    }
                )
        if not results:
            return "".join(block.text for block in reply.content if block.type == "text")
        messages.append({"role": "user", "content": results})


def main(question: str) -> None:
    """Answer a question with a model that has the memory as tools."""
    with Memtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///agent.db")) as client:
        tools = MemoryTools(client, agent_id=AGENT, tools=["search", "remember"])
        print(ask(tools, question) if "ANTHROPIC_API_KEY" in os.environ else scripted(tools, question))


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "I am allergic to peanuts.")
