"""Names of registered agents, for tables: memories and sessions have ids alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from memtrace.client import Memtrace
from memtrace.exceptions import MemtraceError

_MADE_ID = re.compile(r"agent_[0-9a-f]{24}")


class AgentNames:
    """The names of agents by id; empty where ids are asked for.

    The server is asked only for ids of its own making, and for each of them once. An id that has no name, or whose name cannot be
    read, stands for itself.
    """

    def __init__(self, client: Memtrace, *, ids: bool = False) -> None:
        self._client = client
        self._known: dict[str, str] = {}
        self._ids = ids

    def of(self, agent_ids: Iterable[str]) -> dict[str, str]:
        """The names of these agents, as far as they have any."""
        if self._ids:
            return {}
        new = {each for each in agent_ids if each not in self._known and _MADE_ID.fullmatch(each)}
        if new:
            self._known.update((each, each) for each in new)
            self._read()
        return self._known

    def _read(self) -> None:
        try:
            agents = self._client.agents.list().agents
        except MemtraceError:  # the table is worth more than its names
            return
        self._known.update((each.id, each.name) for each in agents)
