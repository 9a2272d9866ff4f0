"""A chat with OpenAI that remembers from one run to the next.

    pip install memtrace-sdk openai
    python examples/openai_chat.py "I am allergic to peanuts."
    python examples/openai_chat.py "May I eat peanuts?"

With OPENAI_API_KEY it asks OpenAI, without it a scripted model. Memories are kept in agent.db, or on the server that
MEMTRACE_BASE_URL names.
"""

from __future__ import annotations

import os
import sys

from memtrace import Memtrace
from memtrace.context import PromptContext

AGENT = "assistant"


def ask(known: PromptContext, question: str) -> str:
    """The answer of OpenAI's model, or of a scripted one without a key."""
    if "OPENAI_API_KEY" not in os.environ:
        return f"I know: {known.memories[0].content}" if known.memories else "Noted."
    from openai import OpenAI

    instructions = f"Answer in one sentence.\n\n{known.text}"
    return OpenAI().responses.create(model="gpt-5-mini", instructions=instructions, input=question).output_text


def main(question: str) -> None:
    """Load what matters for the question, answer it, and remember both."""
    with Memtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///agent.db")) as client:
        known = client.memories.prompt_context(query=question, agent_id=AGENT, max_tokens=1000)
        answer = ask(known, question)
        print(answer)
        client.memories.add(agent_id=AGENT, content=question, event_type="user_message")
        client.memories.add(agent_id=AGENT, content=answer, event_type="assistant_message")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "I am allergic to peanuts.")
