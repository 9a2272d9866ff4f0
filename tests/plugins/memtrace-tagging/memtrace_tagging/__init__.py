"""A middleware that puts a header on each request.

By name, ``middleware=["tagging"]``, it takes its settings from MEMTRACE_TAGGING_HEADER and MEMTRACE_TAGGING_VALUE when the
client is made; as an object it takes them from its arguments.
"""

from __future__ import annotations

import os

from memtrace.exceptions import ConfigurationError
from memtrace.middleware import CallNext, Flow, Request, Response
from memtrace.plugins import MiddlewareSpec, hookimpl
from memtrace.transport import HEADER_NAME, HEADER_VALUE

__all__ = ["Tagging", "memtrace_middleware"]


class Tagging:
    """Adds the header `header` with `value` to each request, in place of one of that name."""

    def __init__(self, *, header: str = "x-tag", value: str) -> None:
        if HEADER_NAME.fullmatch(header) is None:
            raise ConfigurationError(f"header (MEMTRACE_TAGGING_HEADER) is no name of a header: {header!r}")
        if not value or HEADER_VALUE.fullmatch(value) is None:
            raise ConfigurationError(
                "value (MEMTRACE_TAGGING_VALUE) must be printable ASCII, not empty, without white space at its ends"
            )
        self._header = header
        self._value = value

    def __call__(self, request: Request, call_next: CallNext) -> Flow[Response]:
        """Send the request on with the header."""
        return (yield from call_next(request.with_header(self._header, self._value)))

    def __repr__(self) -> str:
        return f"Tagging(header={self._header!r})"


@hookimpl
def memtrace_middleware() -> MiddlewareSpec:
    """The middleware with its settings from the environment."""
    return MiddlewareSpec(create=_from_environment)


def _from_environment() -> Tagging:
    return Tagging(
        header=os.environ.get("MEMTRACE_TAGGING_HEADER", "x-tag"),
        value=os.environ.get("MEMTRACE_TAGGING_VALUE", ""),
    )
