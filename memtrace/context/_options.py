"""What a session's context is made of, and how it is written."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from memtrace.context._formats import ContextFormat
from memtrace.context._tokens import TokenCounter, estimate_tokens
from memtrace.models import TagsMatch, TimeBound


class PromptContextOptions(BaseModel):
    """Which of a session's memories go into a prompt, and how they are written. Nothing of it but the filters is sent.

    Filters are joined by "and", the values of one list of types by "or"; None and an empty list do not filter.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True, extra="forbid")

    #: What the prompt is about, in plain words: then the most relevant memories are in it. All count alike without one.
    query: str | None = None
    #: What the whole context may have, from 1; without one all memories are in it, with a query all that are found.
    max_tokens: int | None = None
    #: How many of the newest are always in it, as far as the budget goes.
    recent: int = 0
    #: Whether the beginning stays as it is for as long as it can, so that prompt caches hold; else the budget is filled. None:
    #: without a query and `recent` it stays.
    stable_prefix: bool | None = None
    #: Counts the tokens of a string. Default: an estimate.
    count_tokens: TokenCounter = estimate_tokens
    format: ContextFormat = "markdown"
    memory_types: list[str] | None = None
    event_types: list[str] | None = None
    #: ``"ui,nav"`` or ``["ui", "nav"]``. All must match. White space around each is removed.
    tags: str | list[str] | None = None
    #: ``exact`` matches whole tags. ``substring`` also matches parts of tags, as the server's own filter does.
    tags_match: TagsMatch = "exact"
    #: At least this. A memory without an importance has 0.
    min_importance: float | None = None
    #: Only what is newer. A point in time keeps the beginning as it is; a look-back moves on.
    since: TimeBound | None = None
    #: Only what is older.
    until: TimeBound | None = None
    #: The keys of metadata that are written with a memory which has them.
    metadata_keys: list[str] = ["reasoning"]
    #: Whether each memory says whose it is.
    show_agents: bool = False
    #: Whether the context has `verdicts`. They keep every memory that was read in memory.
    explain: bool = False
