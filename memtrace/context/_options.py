"""What a session's context is made of, and how it is written."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from memtrace.context._formats import ContextFormat
from memtrace.context._tokens import TokenCounter, estimate_tokens
from memtrace.models import TagsMatch, TimeBound, TypeNames


class PromptContextOptions(BaseModel):
    """Which of a session's memories go into a prompt, and how they are written. Nothing of it but the filters is sent.

    Filters are joined by "and", the values of one list of types by "or"; None and an empty list do not filter.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True, extra="forbid")

    #: The topic of the prompt, in plain words. The prompt then has the most relevant memories.
    query: str | None = None
    #: The budget of the whole context, from 1. By default the context has all memories, with a query all that the search finds.
    max_tokens: int | None = None
    #: How many of the newest memories are always included, as far as they fit into the budget.
    recent: int = 0
    #: Whether the prefix stays the same for as long as possible, for prompt caching. False fills the budget. None: True without a
    #: query and `recent`.
    stable_prefix: bool | None = None
    #: Counts the tokens of a string. Default: an estimate.
    count_tokens: TokenCounter = estimate_tokens
    format: ContextFormat = "markdown"
    #: ``["decision", "entity"]``, or a single string. Any may match.
    memory_types: TypeNames = None
    #: ``["error", "warning"]``, or a single string. Any may match.
    event_types: TypeNames = None
    #: ``"ui,nav"`` or ``["ui", "nav"]``. All must match. White space around each is removed.
    tags: str | list[str] | None = None
    #: ``exact`` matches whole tags. ``substring`` also matches parts of tags, as the server's own filter does.
    tags_match: TagsMatch = "exact"
    #: At least this. A memory without an importance has 0.
    min_importance: float | None = None
    #: Only newer memories. With a point in time the prefix stays the same; with a look-back it changes.
    since: TimeBound | None = None
    #: Only older memories.
    until: TimeBound | None = None
    #: The metadata keys to render with a memory that has them.
    metadata_keys: list[str] = ["reasoning"]
    #: Whether to render the agent's ID with each memory.
    show_agents: bool = False
    #: Whether the context has `verdicts`. They keep every memory that was read in memory.
    explain: bool = False
