"""An assistant built with Google's Agent Development Kit that remembers from one run to the next.

    pip install "memtrace-sdk[google-adk]"
    python examples/google_adk_agent.py "I am allergic to peanuts."
    python examples/google_adk_agent.py "May I eat peanuts?"

With GOOGLE_API_KEY it asks Gemini, without it a scripted model. Memories are kept in agent.db, or on the server that
MEMTRACE_BASE_URL names.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncGenerator

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.tools.preload_memory_tool import PreloadMemoryTool
from google.genai.types import Content, Part

from memtrace import AsyncMemtrace
from memtrace.integrations.google_adk import MemtraceMemoryService, MemtraceSessionService

USER = "ines"


class Scripted(BaseLlm):
    """Repeats what it was told, where there is no key for a provider's model."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        """Answer with the lines of the memories that the kit put into the request."""
        texts = [part.text or "" for content in llm_request.contents for part in content.parts or []]
        known = [line for text in texts for line in text.splitlines() if line.startswith("user: ")]
        answer = "\n".join(["I know:", *known]) if known else "Noted."
        yield LlmResponse(content=Content(role="model", parts=[Part(text=answer)]))


async def main(question: str) -> None:
    """Load what matters for the question, answer it, and remember both."""
    async with AsyncMemtrace(os.environ.get("MEMTRACE_BASE_URL", "sqlite:///agent.db")) as client:
        memory, sessions = MemtraceMemoryService(client), MemtraceSessionService(client)
        model = "gemini-2.5-flash" if "GOOGLE_API_KEY" in os.environ else Scripted(model="scripted")
        agent = LlmAgent(name="assistant", model=model, tools=[PreloadMemoryTool()])
        runner = Runner(app_name="assistant", agent=agent, session_service=sessions, memory_service=memory)
        session = await sessions.create_session(app_name="assistant", user_id=USER, session_id=uuid.uuid4().hex)
        message = Content(role="user", parts=[Part(text=question)])
        async for event in runner.run_async(user_id=USER, session_id=session.id, new_message=message):
            if event.is_final_response() and event.content and event.content.parts:
                print(event.content.parts[0].text)
        finished = await sessions.get_session(app_name="assistant", user_id=USER, session_id=session.id)
        if finished is not None:
            await memory.add_session_to_memory(finished)


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "I am allergic to peanuts."))
