"""Secrets that are planted in requests and answers, and where they must not be found again."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

KEY = "planted-key-5d41402abc4b2a76"
CONTENT = "planted-content-7d793037a0760186"


def shown_in_error(error: BaseException) -> list[str]:
    """The renderings of an error that show a secret: its text, its repr, its traceback with all causes."""
    renderings = {
        "str": str(error),
        "repr": repr(error),
        "args": repr(error.args),
        "notes": repr(getattr(error, "__notes__", ())),  # a traceback of Python 3.10 shows none
        "traceback": "".join(traceback.format_exception(error)),
    }
    return [f"{type(error).__name__}: {name}" for name, text in renderings.items() if is_shown(text)]


def shown_in_records(records: Iterable[logging.LogRecord]) -> list[str]:
    """The log records that show a secret: in their message, their arguments, or the error that they carry."""
    return [f"{record.name}: {record.msg}" for record in records if is_shown(_all_of(record))]


def _all_of(record: logging.LogRecord) -> str:
    shown = [record.getMessage(), repr(record.args), repr(record.__dict__)]
    if record.exc_info and record.exc_info[1] is not None:
        shown.extend(traceback.format_exception(record.exc_info[1]))
    return "".join(shown)


def is_shown(text: str) -> bool:
    """Whether a string contains one of them."""
    return KEY in text or CONTENT in text
