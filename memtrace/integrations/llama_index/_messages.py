"""The messages of LlamaIndex as items that JSON holds, and as text for people."""

from __future__ import annotations

import json
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock

from memtrace.integrations._history import HistoryItem
from memtrace.integrations._records import event_type_of, json_text, unreadable
from memtrace.operations._validation import invalid

FORMAT = "llama-index"
_RULE = "a ChatMessage whose values JSON can hold"


def messages_from(items: list[Any]) -> list[ChatMessage]:
    """The messages that items were. Raises `ResponseDecodeError` for one that was none."""
    try:
        return [ChatMessage.model_validate(item) for item in items]
    except ValueError:  # pydantic's, which shows the content
        raise unreadable(FORMAT, "message of LlamaIndex") from None


def entries(messages: list[ChatMessage]) -> list[HistoryItem]:
    """Messages as items. Raises `InvalidRequestError`, which names the message, for what JSON cannot hold."""
    return [_entry(f"messages[{i}]", message) for i, message in enumerate(messages)]


def _entry(field: str, message: ChatMessage) -> HistoryItem:
    if not isinstance(message, ChatMessage):
        raise invalid(field, _RULE, f"{type(message).__name__} was given")
    try:
        item = message.model_dump(mode="json", exclude={"additional_kwargs"})
        extra = message.model_dump(include={"additional_kwargs"})
        json.dumps(message.model_dump(), allow_nan=False, default=str)  # of numbers that are none, `item` has null
    except (TypeError, ValueError, RecursionError):  # pydantic's serialization error among them
        raise invalid(field, _RULE, "it could not be given back as it is") from None
    text = json_text({**item, **extra}, field)
    return HistoryItem(text, readable(message) or text, event_type_of(f"{message.role.value}_message"))


def readable(message: ChatMessage) -> str:
    """The text of a message and its calls of tools, and the type of its other parts. Empty where it has no parts."""
    return "\n".join(filter(None, map(_part, message.blocks)))


def _part(block: object) -> str:
    if isinstance(block, TextBlock):
        return block.text
    if isinstance(block, ToolCallBlock):
        return f"{block.tool_name}({json.dumps(block.tool_kwargs, ensure_ascii=False, default=str)})"
    return f"[{getattr(block, 'block_type', 'block')}]"
