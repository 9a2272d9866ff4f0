"""A chat with Gemini that calls the memory as functions, and remembers from one run to the next.

    pip install memtrace-sdk google-genai
    python examples/gemini.py "I am allergic to peanuts."
    python examples/gemini.py "May I eat peanuts?"

With GEMINI_API_KEY it asks Gemini, without it a scripted model. Memories are kept in agent.db, or on the server that
MEMTRACE_BASE_URL names.
"""

from __future__ import annotations

import os
import sys

from memtrace import Memtrace
from memtrace.integrations.tools import MemoryTools

AGENT = "assistant"


def scripted(tools: MemoryTools, question: str) -> str:
    """The answer of a model that calls both functions once."""
    search, remember = tools.functions()
    found = search(query=question, limit=1)
    remember(content=question)
    return f"I know: {found}"


def ask(tools: MemoryTools, question: str) -> str:
    """The answer of Gemini. The package calls the functions when the model asks for it."""
    from google import genai
    from google.genai import types

    instruction = "Search your memory before you answer. Remember what the user says about himself."
    config = types.GenerateContentConfig(system_instruction=instruction, tools=[*tools.functions()])
    with genai.Client() as model:
        reply = model.models.generate_content(model="gemini-3-flash", contents=question, config=config)
    return reply.text or ""


def main(question: str) -> None:
    """Answer a question with a model that has the memory as functions."""
    with Memtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///agent.db")) as client:
        tools = MemoryTools(client, agent_id=AGENT, tools=["search", "remember"])
        print(ask(tools, question) if "GEMINI_API_KEY" in os.environ else scripted(tools, question))


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "I am allergic to peanuts.")
