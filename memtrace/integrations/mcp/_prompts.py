"""Prompts: what a person can choose in the host, which the memory then fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp import types

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import InvalidRequestError

ABOUT: Final = "what_do_you_remember"
CATCH_UP: Final = "catch_up"

_BUDGET: Final = 2000
_AGENT: Final = types.PromptArgument(name="agent_id", description="The agent whose memories to use.", required=True)
_TOPIC: Final = types.PromptArgument(name="topic", description="What to remember, in plain words.", required=True)
_SINCE: Final = types.PromptArgument(
    name="since", description="How far back, as in 2h or 7d. Default: 24h.", required=False
)
_NOTHING: Final = "There are no memories about this."


class Prompts:
    """The prompts of a server. With an agent they are about that one; else an argument names it."""

    def __init__(
        self, client: AsyncMemtrace, *, agent_id: str | None = None, read_session_id: str | None = None
    ) -> None:
        self._client = client
        self._agent_id = agent_id
        self._read_session_id = read_session_id

    def listed(self) -> list[types.Prompt]:
        """The prompts, as a client lists them."""
        agent = [] if self._agent_id is not None else [_AGENT]
        return [
            types.Prompt(
                name=ABOUT,
                title="What do you remember about …?",
                description="Answer from the memories that are relevant to a topic.",
                arguments=[*agent, _TOPIC],
            ),
            types.Prompt(
                name=CATCH_UP,
                title="What happened lately?",
                description="Summarise the latest memories, and what is still open.",
                arguments=[*agent, _SINCE],
            ),
        ]

    async def get(self, name: str, arguments: Mapping[str, str] | None) -> types.GetPromptResult | None:
        """Fill one in; None for an unknown name. Raises `MemtraceError`."""
        prompt = next((each for each in self.listed() if each.name == name), None)
        if prompt is None:
            return None
        given = {name: value for name, value in (arguments or {}).items() if value.strip()}
        for argument in prompt.arguments or ():
            if argument.required and argument.name not in given:
                raise InvalidRequestError(
                    f"the argument {argument.name} is missing", field=argument.name, rule="required"
                )
        agent_id = self._agent_id or given["agent_id"]
        if name == ABOUT:
            question = f"What do you remember about this: {given['topic']}"
            text = await self._text(agent_id, query=given["topic"])
        else:
            since = given.get("since", "24h")
            question = f"What happened in the last {since}, and what is still open?"
            text = await self._text(agent_id, since=since)
        message = f"{question}\n\nAnswer from these memories, and say so if they do not tell.\n\n{text or _NOTHING}"
        return types.GetPromptResult(
            description=prompt.description,
            messages=[types.PromptMessage(role="user", content=types.TextContent(type="text", text=message))],
        )

    async def _text(self, agent_id: str, query: str | None = None, since: str | None = None) -> str:
        found = await self._client.memories.prompt_context(
            query, agent_id=agent_id, session_id=self._read_session_id, since=since, max_tokens=_BUDGET
        )
        return found.text
