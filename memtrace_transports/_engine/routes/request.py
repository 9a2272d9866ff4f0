"""One HTTP request as a route handler sees it, and the responses that handlers give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from memtrace.transport import Headers, Response
from memtrace_transports._engine.go_json.reader import JsonObject, JsonSyntaxError, Parsed, decode_utf8, parse
from memtrace_transports._engine.go_json.structs import Fields, GoStruct, JsonTypeError
from memtrace_transports._engine.go_json.writer import Writable, write
from memtrace_transports._engine.route_errors import RouteError


class RouteRequest(NamedTuple):
    """The variable segments of the path, not percent-decoded, the query, and the body with its content type."""

    segments: tuple[str, ...]
    query: Mapping[str, str]
    content_type: str
    body: bytes

    def parsed(self) -> Parsed:
        """The body as JSON. A form is read as well, but has none of the fields that anything asks for.

        Raises RouteError, 400, for another content type and for what is no JSON.
        """
        if self.is_form:
            return JsonObject()
        if not self._kind.endswith("json"):
            raise _unreadable("Unprocessable Entity")
        try:
            return parse(self.body)
        except JsonSyntaxError as error:
            raise _unreadable(str(error)) from None

    @property
    def _kind(self) -> str:
        return self.content_type.partition(";")[0].lower()

    @property
    def is_form(self) -> bool:
        """Whether the body is a form, by its content type."""
        return self._kind.startswith("application/x-www-form-urlencoded")

    def fields(self, struct: GoStruct) -> Fields:
        """The body's fields as declared by `struct`. Raises RouteError, 400, for what does not fit."""
        return decode_fields(struct, self.parsed())


def decode_fields(struct: GoStruct, body: Parsed) -> Fields:
    """The fields of `body`. Raises RouteError, 400, for what does not fit."""
    try:
        return struct.decode(body)
    except JsonTypeError as error:
        raise _unreadable(str(error)) from None


def _unreadable(reason: str) -> RouteError:
    return RouteError(400, f"invalid request body: {reason}")


def read_query(query: str) -> dict[str, str]:
    """The parameters of a query string; of a repeated name the first counts.

    >>> read_query("tags=a%2Cb+c&limit=1&limit=2&x")
    {'tags': 'a,b c', 'limit': '1', 'x': ''}
    """
    if not query:
        return {"": ""}
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(_decoded(name), _decoded(value))
    return found


def _decoded(text: str) -> str:
    return decode_utf8(unquote_to_bytes(text.replace("+", " ").encode("utf-8", "replace")))


_JSON = Headers([("Content-Type", "application/json")])


def json_response(status: int, value: Writable) -> Response:
    """`value` as a JSON answer."""
    body = write(value).encode("utf-8", "replace")
    return Response(status, _JSON, body)


def text_response(status: int, text: str) -> Response:
    """A plain text answer, as the server gives where it finds no route."""
    return Response(status, Headers([("Content-Type", "text/plain; charset=utf-8")]), text.encode("utf-8", "replace"))


def error_response(route_error: RouteError) -> Response:
    """The answer to a request that a rule ended."""
    members: dict[str, Writable] = {"error": route_error.text}
    if route_error.hint:
        members["hint"] = route_error.hint
    return json_response(route_error.status, members)
