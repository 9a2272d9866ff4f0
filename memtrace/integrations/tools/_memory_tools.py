# Generated from _async_memory_tools.py by scripts/unasync.py: change that file and run the script.
"""Tools on the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from memtrace.exceptions import MemtraceError
from memtrace.integrations.tools._arguments import MemoryRequest, RelevanceQuery
from memtrace.integrations.tools._definitions import TOOLS, SchemaFormat, ToolName, schemas_of
from memtrace.integrations.tools._results import ToolResult, failure, success
from memtrace.integrations.tools._scope import Action, MemoryScope, Scope
from memtrace.models import AddMemoryRequest, Memory

if TYPE_CHECKING:
    from memtrace.client import Memtrace


class MemoryTools:
    """The memory of one agent as tools that a model calls, with any provider.

    `agent_id` and `session_id` are the application's to choose: what is stored belongs to both, and a model can neither see
    nor change them. `scope` says whether all of the agent is read, or the session alone: take ``session`` where several
    users share an agent. `tools` are those that are offered, `prefix` stands before their names, and `max_chars` bounds an
    answer, 1,000 or more. Raises `InvalidRequestError` for an id that the server does not accept, `ConfigurationError` for
    the others.

    >>> from memtrace import Memtrace
    >>> with Memtrace("memory://", "any key") as client:
    ...     tools = MemoryTools(client, agent_id="assistant")
    ...     stored = tools.call("remember", '{"content": "User prefers dark mode"}')
    ...     found = tools.call("search", {"query": "which mode?"})
    ...     print(stored.text, "dark mode" in found.text)
    Stored. True
    """

    def __init__(
        self,
        client: Memtrace,
        *,
        agent_id: str,
        session_id: str | None = None,
        scope: MemoryScope = "agent",
        tools: Sequence[ToolName] = TOOLS,
        prefix: str = "",
        max_chars: int = 20_000,
    ) -> None:
        self._client = client
        self._scope = Scope(
            agent_id=agent_id,
            clock=client._dispatcher.settings.clock,  # noqa: SLF001  # of this package; users have no need of it
            session_id=session_id,
            scope=scope,
            tools=tools,
            prefix=prefix,
            max_chars=max_chars,
        )

    def schemas(self, format: SchemaFormat) -> list[dict[str, Any]]:
        """The tools' schemas, as the provider's ``tools=`` takes them; those for OpenAI are strict.

        Raises `ConfigurationError` for an unknown form.
        """
        return schemas_of(self._scope.definitions, format)

    def call(self, name: str, arguments: str | Mapping[str, Any] | None) -> ToolResult:
        """Do what a model asked for; `arguments` as it wrote them, JSON text or the object.

        What goes wrong is told in the result, in words that a model can act on: no `MemtraceError` is raised.
        """
        action: Action | None = None
        try:
            action = self._scope.action(name, arguments)
            return success(action, self._sent(action.request), self._scope.max_chars)
        except MemtraceError as error:
            return failure(action, error)

    def _sent(self, request: MemoryRequest) -> Memory | Sequence[Memory]:
        if isinstance(request, AddMemoryRequest):
            return self._client.add_memory(request)  # a model repeats itself: the server's rule for duplicates
        if isinstance(request, RelevanceQuery):
            return (self._client.memories.search(**asdict(request))).memories
        return (self._client.memories.filter(request)).results
