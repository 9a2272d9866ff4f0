"""Context for prompts, built by the client: whole memories, within a budget, fenced as data."""

from __future__ import annotations

from memtrace.context._formats import ContextFormat
from memtrace.context._options import PromptContextOptions
from memtrace.context._prompt import Message, PromptContext, build_context
from memtrace.context._ranks import MemorySource, Rank
from memtrace.context._tokens import MESSAGE_TOKENS, TokenCounter, estimate_tokens
from memtrace.context._verdicts import MemoryVerdict, VerdictReason

__all__ = [
    "MESSAGE_TOKENS",
    "ContextFormat",
    "MemorySource",
    "MemoryVerdict",
    "Message",
    "PromptContext",
    "PromptContextOptions",
    "Rank",
    "TokenCounter",
    "VerdictReason",
    "build_context",
    "estimate_tokens",
]
