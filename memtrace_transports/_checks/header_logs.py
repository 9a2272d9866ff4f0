"""Loggers below a transport that would write down a request's headers, the key among them."""

from __future__ import annotations

import logging
from typing import Final

# hpack compresses the headers of HTTP/2 and logs each at DEBUG. It hides those that are marked, which httpcore does to none:
# https://github.com/python-hyper/hpack/issues/288
_LOGGERS: Final = ("hpack.hpack", "hpack.table")


def hide_headers_from_logs() -> None:
    """Keep headers out of the records of HTTP/2, in this process and for good; a second call does nothing more."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_holds_numbers_alone)


def _holds_numbers_alone(record: logging.LogRecord) -> bool:
    """Whether a record has only sizes and positions, and no header or block of headers."""
    values = record.args if isinstance(record.args, tuple) else (record.args,)
    return all(isinstance(value, int) for value in values)
