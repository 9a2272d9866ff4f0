"""Error responses to the messages that the MCP package cannot read.

The package drops them, and their callers wait forever: https://github.com/modelcontextprotocol/python-sdk/issues/2751
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCNotification
from pydantic import ValidationError

from memtrace._support.characters import has_half_character
from memtrace.integrations.mcp._streams import WrappedInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.shared._stream_protocols import ReadStream, WriteStream

# a string and whether it is a key, or a bracket; a string without an end goes to the end of the text, so that no
# character is looked at twice
_TOKEN: Final = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*"?)(?P<colon>\s*:)?|[\[\]{}]', re.DOTALL)
_SCALAR: Final = re.compile(r'\s*(-?[0-9]{1,300}(?![0-9.eE])|"(?:[^"\\]|\\.)*")', re.DOTALL)


class AnsweredMessages(WrappedInput):
    """The readable messages of a client. Each of the others gets an error response."""

    def __init__(self, incoming: ReadStream[SessionMessage | Exception], outgoing: WriteStream[SessionMessage]) -> None:
        super().__init__(incoming)
        self._outgoing = outgoing

    async def receive(self) -> SessionMessage | Exception:
        while True:
            item = await self._incoming.receive()
            if isinstance(item, ValidationError):
                response = _error_response(item)
            elif _is_request_of_no_id(item):
                response = JSONRPCError(jsonrpc="2.0", id=None, error=_INVALID)
            else:
                return item
            if response is not None:
                await self._outgoing.send(SessionMessage(response))


_INVALID: Final = ErrorData(code=INVALID_REQUEST, message="Invalid request: not a JSON-RPC 2.0 message")


def _is_request_of_no_id(item: SessionMessage | Exception) -> bool:
    """Whether the package takes a request for a notification, since its ID is neither a string nor an integer."""
    message = item.message if isinstance(item, SessionMessage) else None
    return isinstance(message, JSONRPCNotification) and not message.method.startswith("notifications/")


def _error_response(error: ValidationError) -> JSONRPCError | None:
    """An error response with the ID of the request, or None if it expects no response."""
    details = error.errors(include_url=False)
    text = details[0]["input"]
    if details[0]["type"] != "json_invalid":
        told = _INVALID
        message: dict[str, Any] = next(
            (found for found in (detail["input"] for detail in details) if _is_envelope(found)), {}
        )
    elif text.strip():
        told = ErrorData(code=PARSE_ERROR, message=f"Parse error: {details[0]['msg']}")
        message = top_level(text)
    else:
        return None  # an empty line
    if "method" not in message and ("result" in message or "error" in message):
        return None  # a response, whose ID is the server's
    return JSONRPCError(jsonrpc="2.0", id=_request_id(message), error=told)


def _is_envelope(found: object) -> bool:
    return isinstance(found, dict) and not found.keys().isdisjoint(("jsonrpc", "id", "method"))


def _request_id(message: Mapping[str, Any]) -> int | str | None:
    found = message.get("id")
    if type(found) is int or (isinstance(found, str) and not has_half_character(found)):
        return found
    return None


def top_level(text: str) -> dict[str, Any]:
    """The keys of the outermost object in a string that is not JSON, with those values that can be an ID."""
    found: dict[str, Any] = {}
    depth = 0
    for token in _TOKEN.finditer(text):
        if token["string"] is None:
            depth += 1 if token[0] in "[{" else -1
        elif depth == 1 and token["colon"]:
            value = _SCALAR.match(text, token.end())
            found[str(_decoded(token["string"]))] = _decoded(value[1]) if value else None
    return found


def _decoded(token: str) -> Any:
    try:
        return json.loads(token)
    except ValueError:  # a bad escape
        return None
