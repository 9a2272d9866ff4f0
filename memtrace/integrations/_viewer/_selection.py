"""The memory that was chosen: found again, with its neighbours and with what reads it elsewhere."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from memtrace._support.timestamps import rfc3339
from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import InvalidRequestError, NotFoundError
from memtrace.integrations._viewer._cards import Card, card, json_of, key_of
from memtrace.integrations._viewer._page_query import split_address
from memtrace.models import Memory
from memtrace.operations._time_bounds import beside

_NEIGHBOURS: Final = 3
_MICROSECOND: Final = timedelta(microseconds=1)
_SHOWN: Final = 100_000
"""Characters of the JSON."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A memory, and what was stored before and after it in its session, or by its agent without one."""

    card: Card
    before: list[Card]
    after: list[Card]

    @property
    def json(self) -> str:
        """The memory as text, cut where it is very long."""
        text = json.dumps(json_of(self.card.memory), indent=2, ensure_ascii=False)
        hidden = len(text) - _SHOWN
        return text if hidden <= 0 else f"{text[:_SHOWN]}… ({hidden:,} more characters: open the JSON)"

    @property
    def snippets(self) -> dict[str, str]:
        """Code that reads the memory again, without an address and a key."""
        memory = self.card.memory
        since, until = (rfc3339(beside(memory.time, by)) for by in (-_MICROSECOND, _MICROSECOND))
        fields = {"agent_id": memory.agent_id, "since": since, "until": until}
        arguments = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        form = " ".join(f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in fields.items())
        return {
            "Python": f"from memtrace import Memtrace\n\nclient = Memtrace()\nmemory = client.memories.list({arguments})[0]",
            "curl": f'curl -sG "$MEMTRACE_BASE_URL/api/v1/memories" -H "x-api-key: $MEMTRACE_API_KEY" {form}',
            "console": shlex.join(
                ["memtrace-sdk", "filter", "--agent", memory.agent_id, "--since", since, "--until", until]
            ),
        }


async def select(client: AsyncMemtrace, address: str) -> Selection:
    """Find a memory by its address, and its neighbours.

    Raises `NotFoundError` where it is not there, and `InvalidRequestError` for any other text.
    """
    at, key = split_address(address, "memory")
    near = [
        each async for each in client.memories.iter(since=beside(at, -_MICROSECOND), until=beside(at, _MICROSECOND))
    ]
    memory = next((each for each in near if key_of(each) == key), None)
    if memory is None:
        raise NotFoundError(
            "the chosen memory was not found", hint="it may belong to another server or key; choose another one"
        )
    before, after = list[Memory](), list[Memory]()
    with suppress(InvalidRequestError):  # a session or agent that no filter accepts
        before, after = await _neighbours(client, memory, at, near)
    return Selection(card(memory), [*map(card, before)], [*map(card, after)])


async def _neighbours(
    client: AsyncMemtrace, memory: Memory, at: datetime, near: list[Memory]
) -> tuple[list[Memory], list[Memory]]:
    """The memories before and after one, oldest first. Memories of one microsecond keep the order in which they are read."""
    session_id = memory.session_id or None
    agent_id = None if session_id else memory.agent_id
    same = [each for each in reversed(near) if _owner(each) == _owner(memory)]
    place = next(number for number, each in enumerate(same) if each == memory)
    earlier = client.memories.iter(
        agent_id=agent_id, session_id=session_id, until=at, order="desc", limit=_NEIGHBOURS, page_size=_NEIGHBOURS
    )
    later = client.memories.iter(
        agent_id=agent_id, session_id=session_id, since=at, order="asc", limit=_NEIGHBOURS, page_size=_NEIGHBOURS
    )
    before = [each async for each in earlier][::-1] + same[:place]
    after = same[place + 1 :] + [each async for each in later]
    return before[-_NEIGHBOURS:], after[:_NEIGHBOURS]


def _owner(memory: Memory) -> tuple[str, str]:
    return ("session", memory.session_id) if memory.session_id else ("agent", memory.agent_id)
