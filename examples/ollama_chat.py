"""A chat with a local model by Ollama, or by any server with its API, that remembers from one run to the next.

    pip install memtrace-sdk
    python examples/ollama_chat.py "I am allergic to peanuts."
    python examples/ollama_chat.py "May I eat peanuts?"

With OLLAMA_HOST, such as http://localhost:11434, it asks that server, without it a scripted model. Memories are kept in agent.db, or on the server that
MEMTRACE_BASE_URL names.
"""

from __future__ import annotations

import os
import sys

from memtrace import Memtrace
from memtrace.context import PromptContext

AGENT = "assistant"


def ask(known: PromptContext, question: str) -> str:
    """The answer of the local model, or of a scripted one without a server."""
    if "OLLAMA_HOST" not in os.environ:
        return f"I know: {known.memories[0].content}" if known.memories else "Noted."
    import httpx

    instruction = {"role": "system", "content": "Answer in one sentence."}
    messages = [instruction, *known.messages, {"role": "user", "content": question}]
    chat = {"model": os.environ.get("OLLAMA_MODEL", "qwen3"), "messages": messages, "stream": False}
    reply = httpx.post(f"{os.environ['OLLAMA_HOST']}/api/chat", json=chat, timeout=300).raise_for_status()
    return str(reply.json()["message"]["content"])


def main(question: str) -> None:
    """Load what matters for the question, answer it, and remember both."""
    with Memtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///agent.db")) as client:
        known = client.memories.prompt_context(query=question, agent_id=AGENT, max_tokens=1000, format="messages")
        answer = ask(known, question)
        print(answer)
        client.memories.add(agent_id=AGENT, content=question, event_type="user_message")
        client.memories.add(agent_id=AGENT, content=answer, event_type="assistant_message")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "I am allergic to peanuts.")
