"""What the text index knows of a memory: its words."""

from __future__ import annotations

import json


def search_text(content: str, metadata: str) -> str:
    r"""The text that is indexed: the content, and the text values of the metadata, which is JSON text or empty.

    >>> search_text("bought tea", '{"photo": {"caption": "a green tin"}, "price": 4}')
    'bought tea\na green tin'
    """
    if not metadata:
        return content
    try:
        waiting: list[object] = [json.loads(metadata)]
    except RecursionError:  # it is deeper than Python's reader goes; nobody looks for words there
        return content
    texts: list[str] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, dict):
            waiting.extend(reversed(value.values()))
    return "\n".join((content, *texts))
