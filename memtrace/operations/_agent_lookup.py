"""Which agent has a name: asked by a recovery in raw rows, and by `get_or_register` in models."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar
from urllib.parse import quote

from memtrace.exceptions import NotFoundError

AgentT = TypeVar("AgentT")
YieldT = TypeVar("YieldT")


def find_agent(
    name: str,
    get: Callable[[str], Generator[YieldT, object, AgentT]],
    list_all: Callable[[], Generator[YieldT, object, Iterable[AgentT]]],
    name_of: Callable[[AgentT], object],
) -> Generator[YieldT, object, AgentT | None]:
    """Find the agent of this name.

    Sends one request if the name can be part of a path. Reads the whole list if it cannot, since the server does not
    decode paths, or if the name is another agent's id.

    Args:
        name: The exact name.
        get: Reads one agent by a path segment. Raises `NotFoundError` where there is none.
        list_all: Reads all agents.
        name_of: The name of an agent that was read.

    Returns:
        The agent; None where none has this name.
    """
    if quote(name, safe="") == name and name not in (".", ".."):
        try:
            agent = yield from get(name)
        except NotFoundError:
            return None
        if name_of(agent) == name:
            return agent
    return next((agent for agent in (yield from list_all()) if name_of(agent) == name), None)
