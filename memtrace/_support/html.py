"""HTML tables for notebooks: escaped, bounded, in the colours of the page that shows them. Knows no model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import islice

ROWS_SHOWN = 50
"""Rows of a table."""
CELL_SHOWN = 200
"""Characters of one cell of a table."""
TEXT_SHOWN = 10_000
"""Characters of one field of a single model."""

_CELL = "text-align:left;vertical-align:top;padding:3px 12px 3px 0;border-bottom:1px solid rgba(128,128,128,.35)"
_WRAPPED = f"{_CELL};white-space:pre-wrap;overflow-wrap:break-word"
_UNBROKEN = f"{_CELL};white-space:nowrap"
_LONG = f"{_CELL};white-space:pre-wrap;overflow-wrap:anywhere;min-width:20em"
_STYLES = {
    **dict.fromkeys(("content", "context", "error"), _LONG),
    **dict.fromkeys(("time", "created_at", "updated_at", "closed_at", "last_active_at", "index", "status"), _UNBROKEN),
}


def rows_table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]], count: int) -> str:
    """A table of `count` rows, each with a value for each column; columns that are empty in all shown rows are left out."""
    shown = [[_text(value, CELL_SHOWN) for value in row] for row in islice(rows, ROWS_SHOWN)]
    filled = [index for index in range(len(columns)) if any(cells[index] for cells in shown)]
    head = "".join(f'<th scope="col" style="{_CELL}">{columns[index]}</th>' for index in filled)
    body = "".join(f"<tr>{''.join(_cell(cells[index], columns[index]) for index in filled)}</tr>" for cells in shown)
    hidden = count - len(shown)
    rest = f"… and {hidden:,} more, which are not shown" if hidden else ""
    return _wrap(caption, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>" if shown else "", rest)


def fields_table(caption: str, fields: Iterable[tuple[str, object]]) -> str:
    """A table of names and values; empty values are left out."""
    given = [(name, _text(value, TEXT_SHOWN)) for name, value in fields]
    filled = [(name, text) for name, text in given if text]
    body = "".join(
        f'<tr><th scope="row" style="{_UNBROKEN}">{_escaped(name)}</th>{_cell(text, name)}</tr>'
        for name, text in filled[:ROWS_SHOWN]
    )
    hidden = len(filled) - ROWS_SHOWN
    rest = f"… and {hidden:,} more fields, which are not shown" if hidden > 0 else ""
    return _wrap(caption, f"<tbody>{body}</tbody>", rest)


def _wrap(caption: str, rows: str, rest: str) -> str:
    # The classes keep MathJax from reading a price in dollars as a formula.
    return (
        '<div class="memtrace tex2jax_ignore mathjax_ignore" style="overflow-x:auto">'
        '<table style="border-collapse:collapse">'
        f'<caption style="caption-side:top;text-align:left;white-space:nowrap;padding:3px 0;font-weight:bold">{_escaped(caption)}</caption>'
        f"{rows}</table>{f'<div>{rest}</div>' if rest else ''}</div>"
    )


def _cell(text: str, column: str) -> str:
    return f'<td dir="auto" style="{_STYLES.get(column, _WRAPPED)}">{_escaped(text)}</td>'


def _text(value: object, longest: int) -> str:
    """A value as text of at most so many characters, then how many more there are; empty for what is not there."""
    if value is None or (isinstance(value, (dict, list)) and not value):
        return ""
    if isinstance(value, datetime):
        text = re.sub(r"\+00:00$", " UTC", value.isoformat(" ", "seconds"))
    elif isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = ", ".join(value)
    elif isinstance(value, (Mapping, list)):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    hidden = len(text) - longest
    return text if hidden <= 0 else f"{text[:longest]}… ({hidden:,} more)"


_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _escaped(text: str) -> str:
    """For HTML; what no page can show is the replacement character."""
    return escape(_UNSHOWABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))
