"""The contents of AutoGen's memories as items that JSON holds, and as text for people."""

from __future__ import annotations

import base64
import json
from typing import Any

from autogen_core import Image
from autogen_core.memory import MemoryContent, MemoryMimeType

from memtrace.integrations._records import Record, json_text, unreadable
from memtrace.operations._validation import invalid
from memtrace.ranking import SearchHit

FORMAT = "autogen"
_RULE = "a string, bytes, an Image, or a dict that JSON can hold"


def as_item(content: MemoryContent) -> tuple[dict[str, Any], str]:
    """A content as JSON, and as text for people and for searches."""
    if not isinstance(content, MemoryContent):
        raise invalid("content", "a MemoryContent", f"{type(content).__name__} was given")
    is_enum = isinstance(content.mime_type, MemoryMimeType)
    mime = content.mime_type.value if isinstance(content.mime_type, MemoryMimeType) else content.mime_type
    about = {"mime_type": mime, "is_enum": is_enum, "metadata": content.metadata}
    value = content.content
    if isinstance(value, str):
        return {"text": value, **about}, value or f"[{mime}]"
    if isinstance(value, dict):
        return {"json": value, **about}, json_text(value, "content")
    if isinstance(value, (bytes, Image)):
        kind = "bytes" if isinstance(value, bytes) else "image"
        data = base64.b64encode(value).decode() if isinstance(value, bytes) else value.to_base64()
        described = [f"{key}: {text}" for key, text in (content.metadata or {}).items() if isinstance(text, str)]
        return {kind: data, **about}, "\n".join([f"[{mime}]", *described])
    raise invalid("content", _RULE, f"{type(value).__name__} was given")


def content_of(record: Record | None, hit: SearchHit) -> MemoryContent:
    """A memory as AutoGen has it. One of another program is text."""
    if record is None:
        metadata = {**(hit.memory.metadata or {}), "score": hit.score}
        return MemoryContent(content=hit.memory.content, mime_type=MemoryMimeType.TEXT, metadata=metadata)
    item = record.item
    try:
        mime_type = MemoryMimeType(item["mime_type"]) if item["is_enum"] else item["mime_type"]
        metadata = {**(item["metadata"] or {}), "score": hit.score}
        return MemoryContent(content=_value(item), mime_type=mime_type, metadata=metadata)
    except (KeyError, TypeError, ValueError, OSError):
        raise unreadable(FORMAT, "content and MIME type") from None


def _value(item: dict[str, Any]) -> Any:
    if "bytes" in item:
        return base64.b64decode(item["bytes"])
    if "image" in item:
        return Image.from_base64(item["image"])
    return item["json"] if "json" in item else item["text"]


def query_text(query: object) -> str:
    """The words of a query; empty for bytes and images, which have none."""
    if isinstance(query, dict):
        return json.dumps(query, ensure_ascii=False, default=str)
    return query if isinstance(query, str) else ""
