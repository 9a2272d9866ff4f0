"""Authentication: the API key, which alone decides the organisation."""

from __future__ import annotations

from memtrace._flow.composition import CallNext
from memtrace.transport import Flow, Request, Response

__all__ = ["ApiKeyAuth"]


class ApiKeyAuth:
    """Sends the key as ``x-api-key``, unless a middleware further out has set that header."""

    __slots__ = ("_api_key",)

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: Request, call_next: CallNext) -> Flow[Response]:
        """Add the header."""
        if "x-api-key" not in request.headers:
            request = request.with_header("x-api-key", self._api_key)
        return (yield from call_next(request))

    def __repr__(self) -> str:
        return "ApiKeyAuth(***)"
