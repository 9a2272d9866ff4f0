"""An application's choices for its tools: whose memory they use, which are offered, how long a result may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from memtrace._support.error_text import did_you_mean
from memtrace._support.numbers import is_int
from memtrace.clock import Clock
from memtrace.exceptions import ConfigurationError, InvalidRequestError
from memtrace.integrations.tools._arguments import Binding, MemoryRequest, arguments_from, shown_name
from memtrace.integrations.tools._definitions import Definition, ToolName, definitions_of
from memtrace.operations._validation import check_id, require_id

MemoryScope = Literal["agent", "session"]
"""The memories to read: all of the agent, or only those of the session."""

LEAST_CHARS: Final = 1000
"""The smallest limit of a result: one memory has to fit."""


@dataclass(frozen=True, slots=True)
class Action:
    """A call of a tool, as a request to the server."""

    definition: Definition
    request: MemoryRequest = field(repr=False)
    #: How many memories it shows at most.
    rows: int


class Scope:
    """Check the agent and the session, the tools, and the limit of a result. Raises for invalid ones."""

    def __init__(
        self,
        *,
        agent_id: str,
        clock: Clock,
        session_id: str | None,
        scope: MemoryScope,
        tools: Sequence[ToolName],
        prefix: str,
        max_chars: int,
    ) -> None:
        require_id(agent_id, "agent_id")
        check_id(session_id, "session_id")
        if scope not in get_args(MemoryScope):
            raise ConfigurationError(f"scope must be one of {', '.join(get_args(MemoryScope))}", argument="scope")
        if scope == "session" and not session_id:
            raise ConfigurationError("scope='session' needs a session_id", argument="session_id")
        if not is_int(max_chars) or max_chars < LEAST_CHARS:
            raise ConfigurationError(f"max_chars must be a whole number, {LEAST_CHARS} or more", argument="max_chars")
        self.binding: Binding = Binding(agent_id, clock, session_id or None, session_id if scope == "session" else None)
        self.max_chars: int = max_chars
        self._by_name = {definition.name: definition for definition in definitions_of(tools, prefix)}

    @property
    def definitions(self) -> list[Definition]:
        """The tools that are offered."""
        return list(self._by_name.values())

    def action(self, name: str, given: str | Mapping[str, Any] | None) -> Action:
        """The call to make. Raises `InvalidRequestError` for a tool that is not offered, and for invalid arguments."""
        definition = self._by_name.get(name)
        if definition is None:
            offered = ", ".join(self._by_name)
            raise InvalidRequestError(
                f"there is no tool {shown_name(name)}.{did_you_mean(name, self._by_name)} There are: {offered}",
                field="name",
                rule=f"one of {offered}",
            )
        chosen = arguments_from(definition.arguments, given)
        return Action(definition, chosen.request(self.binding), chosen.rows)
