"""Authentication: the API key, which alone decides the organisation."""

from __future__ import annotations

from memtrace._flow.composition import CallNext
from memtrace.transport import Flow, Headers, Request, Response


class ApiKeyAuth:
    """Send the API key as ``x-api-key``, unless an outer middleware has set that header.

    Args:
        api_key: The key.
    """

    __slots__ = ("_api_key", "_completed")

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        #: By whether there is no body: the newest request's headers, without the key and with it. A client sends the same
        #: two sets in each call, and to put one together takes as long as all else here.
        self._completed: dict[bool, tuple[Headers, Headers]] = {}

    def __call__(self, request: Request, call_next: CallNext) -> Flow[Response]:
        """Add the header."""
        known, headers = self._completed.get(request.body is None, (None, request.headers))
        if known is not request.headers:
            headers = request.headers
            if "x-api-key" not in headers:
                headers = headers.set("x-api-key", self._api_key)
            self._completed[request.body is None] = (request.headers, headers)
        request = Request(
            request.method,
            request.origin,
            request.target,
            headers,
            request.body,
            request.operation,
            request.timeout,
            request.context,
        )
        return (yield from call_next(request))

    def __repr__(self) -> str:
        return "ApiKeyAuth(***)"
