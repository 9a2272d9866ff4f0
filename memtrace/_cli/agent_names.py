"""Names of registered agents, for tables: memories and sessions have ids alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from memtrace.client import Memtrace
from memtrace.exceptions import MemtraceError

_MADE_ID = re.compile(r"agent_[0-9a-f]{24}")


class AgentNames:
    """The names of agents by id; empty where ids are asked for.

    Only ids that the server created are looked up, each once. The id is shown instead of a name if the agent has none,
    if the name cannot be read, or if the name is another agent's id.
    """

    def __init__(self, client: Memtrace, *, ids: bool = False) -> None:
        self._client = client
        self._known: dict[str, str] = {}
        self._chosen_ids = set[str]()
        self._ids = ids

    def of(self, agent_ids: Iterable[str]) -> dict[str, str]:
        """The names of these agents, as far as they have any."""
        if self._ids:
            return {}
        shown = set(agent_ids)
        made = {each for each in shown if _MADE_ID.fullmatch(each)}
        self._chosen_ids |= shown - made
        if new := made - self._known.keys():
            self._known.update((each, each) for each in new)
            self._read()
        return {each: name for each, name in self._known.items() if name not in self._chosen_ids}

    def _read(self) -> None:
        try:
            agents = self._client.agents.list().agents
        except MemtraceError:  # the table is worth more than its names
            return
        self._known.update((each.id, each.name) for each in agents)
