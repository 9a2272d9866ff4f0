"""How a retry finds an attempt whose response was lost: one `Recovery` for each operation that leaves traces.

Source: the observed behaviour of Memtrace 0.2.0, "Duplicates, and when a repeat is safe".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode

from memtrace._support.numbers import is_int
from memtrace.exceptions import ResponseDecodeError
from memtrace.operations._agent_lookup import find_agent
from memtrace.operations._sent_memories import Row, SentMemory, as_sent, rows_of
from memtrace.operations._server_messages import missing_resource, read_error, refused_item
from memtrace.transport import CallContext, Headers, Recovery, RecoveryContext, Request, Response

if TYPE_CHECKING:
    from memtrace.models import AddMemoryRequest, RegisterAgentRequest
    from memtrace.transport import Flow


class ServerClock:
    """When a call began, by the server's clock in its ``Date`` headers; by the system clock until there is one.

    The header has whole seconds, so the result is up to a second too early, never too late. It must be the server's
    own: a response from a proxy has the proxy's time.
    """

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._began: float | None = None

    def note(self, response: Response) -> None:
        """Take the ``Date`` of a server response into account."""
        date = server_date(response)
        if date is None:
            return
        began = max(date - self._context.elapsed(), 0.0)
        self._began = began if self._began is None else max(began, self._began)

    @property
    def is_known(self) -> bool:
        """Whether a response had a date."""
        return self._began is not None

    @property
    def began(self) -> datetime:
        """The earliest moment at which the call can have begun, UTC."""
        began = self._context.clock.wall() - self._context.elapsed() - 1 if self._began is None else self._began
        return datetime.fromtimestamp(began, timezone.utc)


_YEAR_9999 = datetime(9999, 1, 1, tzinfo=timezone.utc).timestamp()


def server_date(response: Response) -> float | None:
    """When the server answered, by its own clock, in seconds since 1970; None without a valid date."""
    date = http_date(response.headers.get("date", ""))
    return date if date is not None and 0 <= date < _YEAR_9999 else None


def http_date(text: str) -> float | None:
    """A date of a header, in seconds since 1970; None if it is invalid.

    >>> http_date("Thu, 01 Jan 1970 00:01:00 GMT")
    60.0
    """
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp()
    except (ValueError, OverflowError):  # the second for a year, or a zone, of very many digits
        return None


# ---- reads ----------------------------------------------------------------------------------------------------------


def read_request(
    request: Request, route: str, query: Mapping[str, str | int], parse: Callable[[Response], object]
) -> Request:
    """A read beside `request`, with its URL, headers, timeouts and notes. `route` is below ``/api/v1``."""
    call = request.context
    context = CallContext(
        call.clock, "read", started=call.started, deadline=call.deadline, state=call.state, parse=parse
    )
    prefix = request.target.rpartition("/api/v1/")[0]
    target = f"{prefix}/api/v1/{route}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    headers = Headers([pair for pair in request.headers.multi_items if pair[0].lower() != "content-type"])
    operation = f"{route.partition('/')[0]}.{'get' if '/' in route else 'list'}"
    return replace(
        request, method="GET", target=target, headers=headers, body=None, operation=operation, context=context
    )


def verifying_read(request: Request) -> Request:
    """The read before a retry: the cheapest one that flushes the server's write buffer."""
    return read_request(request, "memories", {"since": "1m", "limit": 1}, _rows)


_PAGE = 1000


def _rows_of_call(request: Request, items: Sequence[SentMemory], context: RecoveryContext) -> Flow[list[Row]]:
    """The rows stored since the call began, including those of `items`."""
    since = (context.began - timedelta(microseconds=1)).replace(tzinfo=None).isoformat() + "Z"  # an exclusive bound
    return (yield from _rows_since(request, items, context, {"since": since, "order": "asc"}))


def _lost_rows(request: Request, items: Sequence[SentMemory], context: RecoveryContext) -> Flow[dict[int, Row]]:
    """The rows that the call's own attempts left, by the place of their item.

    Raises `ResponseDecodeError` if no response had the server's time, and an item's row may be older than the call.
    """
    if context.is_dated:
        return rows_of(items, (), (yield from _rows_of_call(request, items, context)))
    minutes = min(int(request.context.elapsed() // 60) + 2, 8760)  # before the server's own time
    bounds = {"since": f"{minutes}m", "order": "desc"}  # rows that leave at the old end as time passes shift no page
    rows = yield from _rows_since(request, items, context, bounds)
    recent = rows_of(items, (), [row for row in rows if _is_since(row.get("time"), context.began)])
    if len(rows_of(items, (), rows)) > len(recent):
        raise ResponseDecodeError("the server's responses have no Date, so that the age of a row cannot be told")
    return recent


def _rows_since(
    request: Request, items: Sequence[SentMemory], context: RecoveryContext, bounds: Mapping[str, str]
) -> Flow[list[Row]]:
    """Every row within `bounds` among which those of `items` can be.

    Pages by offset: new rows shift the others towards the end, so some are read twice and none is missed.
    """
    agents = {item.agent_id for item in items}
    query = {"agent_id": agents.pop(), **bounds} if len(agents) == 1 else bounds
    found: list[Row] = []
    page: Sequence[Row] = []
    while True:
        filters: dict[str, str | int] = {**query, "limit": _PAGE, "offset": len(found)}
        before, page = page, _rows((yield from context.read(read_request(request, "memories", filters, _rows))))
        if page and page == before:
            raise ResponseDecodeError("the server gives the same rows again and again: is a cache in front of it?")
        found += page
        if len(page) < _PAGE:
            return [row for row in found if not context.is_answered(row)]


def _rows(response: Response) -> Sequence[Row]:
    return cast("Sequence[Row]", _members(response, "memories"))


def _agents(response: Response) -> Sequence[Row]:
    return cast("Sequence[Row]", _members(response, "agents"))


def _members(response: Response, name: str) -> object:
    content = _object(response)
    rows = content.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ResponseDecodeError(f"the server's response of {len(response.body)} bytes holds no {name}")
    return rows


def _object(response: Response) -> Row:
    try:
        content = json.loads(response.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ResponseDecodeError(
            f"the server's response of {len(response.body)} bytes is not a JSON object", response.status
        )
    return content


_FOUND = Response(201, Headers({"content-type": "application/json"}))


def _answer(response: Response, status: int, content: object) -> Response:
    return Response(status, response.headers, json.dumps(content).encode())


# ---- memories -------------------------------------------------------------------------------------------------------


class MemoryRecovery:
    """One memory: a conflict after an attempt without a response is that attempt's own row, or an older one."""

    __slots__ = ("_memory",)

    def __init__(self, memory: AddMemoryRequest) -> None:
        self._memory = memory

    @property
    def needs_verification(self) -> bool:
        """True: the duplicate check misses very recent writes, and a server may have it disabled."""
        return True

    def look_for(self, request: Request, context: RecoveryContext) -> Flow[Response | None]:
        """Its row, as the response."""
        items = as_sent([self._memory], request.context.sent_body)
        found = yield from _lost_rows(request, items, context)
        return _answer(_FOUND, 201, found[0]) if found else None

    def applies_to(self, response: Response, *, uncertain: bool) -> bool:
        """A conflict after an uncertain attempt."""
        return uncertain and response.status == 409

    def recover(self, request: Request, response: Response, context: RecoveryContext) -> Flow[Response]:
        """Look up the row. A row with the same key and content, stored since the call began, is the result."""
        items = as_sent([self._memory], request.context.sent_body)
        found = rows_of(items, (), (yield from _rows_of_call(request, items, context)))
        if found:
            return _answer(response, 201, found[0])
        if not items[0].contents:
            raise ResponseDecodeError("the memory is stored, but its row was not found", 409)
        if context.is_dated:
            request.context.maybe_applied = False
        return response


class BatchRecovery:
    """Several memories in one request: the rows left by an attempt without a response, or by one rejected half-way."""

    __slots__ = ("_memories",)

    def __init__(self, memories: Sequence[AddMemoryRequest]) -> None:
        self._memories = memories

    @property
    def needs_verification(self) -> bool:
        """True: the duplicate check misses very recent writes, and a server may have it disabled."""
        return True

    def look_for(self, request: Request, context: RecoveryContext) -> Flow[Response | None]:
        """The rows found, as the response. It names the items without a row, which are to be sent separately."""
        items = as_sent(self._memories, request.context.sent_body)
        found = yield from _lost_rows(request, items, context)
        if not found:
            return None
        unsent = [place for place in range(len(items)) if place not in found]
        return _answer(_FOUND, 201, {"memories": list(found.values()), "count": len(found), "unsent": unsent})

    def applies_to(self, response: Response, *, uncertain: bool) -> bool:
        """A response after which only some items are stored: after an uncertain attempt, or before an invalid item."""
        if response.status == 201:
            return uncertain and len(_rows(response)) < len(self._memories)
        refused = _refused_item_of(response, len(self._memories))
        return refused is not None and refused[0] > 0

    def recover(self, request: Request, response: Response, context: RecoveryContext) -> Flow[Response]:
        """A response with the row of every item that this call stored, and the rejected item, if any."""
        refused = _refused_item_of(response, len(self._memories))
        items = as_sent(self._memories, request.context.sent_body)
        answered: Sequence[Row] = ()
        if refused is None:
            answered = _rows(response)
        else:
            items = items[: refused[0]]
            yield from context.verify()
        found = rows_of(items, answered, (yield from _rows_of_call(request, items, context)))
        content: dict[str, object] = {"memories": list(found.values()), "count": len(found)}
        if refused is not None:
            content["rejected"] = {"item": refused[0], "error": refused[1]}
        return _answer(response, 201, content)


def _refused_item_of(response: Response, count: int) -> tuple[int, str] | None:
    """The item, of `count`, that the server rejected after it had stored those before it, and its message."""
    if response.status != 500:
        return None
    text = read_error(response).text
    item = refused_item(text)
    return None if item is None or item >= count else (item, text)


# ---- agents ---------------------------------------------------------------------------------------------------------


class AgentRecovery(Recovery):
    """A registration: a taken name after an attempt without a response may be that attempt's own agent."""

    __slots__ = ("_agent",)

    def __init__(self, agent: RegisterAgentRequest) -> None:
        self._agent = agent

    @property
    def needs_verification(self) -> bool:
        """False: the server looks at once."""
        return False

    def applies_to(self, response: Response, *, uncertain: bool) -> bool:
        """A conflict after an uncertain attempt."""
        return uncertain and response.status == 409

    def recover(self, request: Request, response: Response, context: RecoveryContext) -> Flow[Response]:
        """Fetch the agent of this name. It is the result if it is equal and was registered since the call began."""
        row = yield from self._find(request, context)
        if row is not None and self._describes(row) and _is_since(row.get("created_at"), context.began):
            return _answer(response, 201, row)
        if context.is_dated or row is None or not self._describes(row):
            request.context.maybe_applied = False
        return response

    def _find(self, request: Request, context: RecoveryContext) -> Flow[Row | None]:
        def get(name: str) -> Flow[Row]:
            return _object((yield from context.read(read_request(request, f"agents/{name}", {}, _object))))

        def list_all() -> Flow[Sequence[Row]]:
            return _agents((yield from context.read(read_request(request, "agents", {}, _agents))))

        return find_agent(self._agent.name, get, list_all, lambda row: row.get("name"))

    def _describes(self, row: Row) -> bool:
        wanted = json.loads(self._agent.model_dump_json(exclude_none=True))
        return (row.get("description") or "") == (wanted.get("description") or "") and _as_stored(
            row.get("config") or {}
        ) == _as_stored(wanted.get("config") or {})


def _as_stored(value: object) -> object:
    """A JSON value with its numbers as the server keeps them, as 64-bit floats."""
    if isinstance(value, dict):
        return {name: _as_stored(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_stored(each) for each in value]
    try:
        return float(value) if is_int(value) else value
    except OverflowError:  # it is not a 64-bit float, so no server can store it
        return value


def _is_since(text: object, began: datetime) -> bool:
    """Whether a time truncated to whole seconds can be after `began`."""
    try:
        time = datetime.fromisoformat(f"{str(text)[:19]}+00:00")
    except ValueError:
        return False
    return time > began - timedelta(seconds=1)


class DeletionRecovery(Recovery):
    """A deletion: an object missing after an attempt without a response was deleted by that attempt."""

    __slots__ = ()

    @property
    def needs_verification(self) -> bool:
        """False: the server looks at once."""
        return False

    def applies_to(self, response: Response, *, uncertain: bool) -> bool:
        """The server's own 404 after an uncertain attempt, except the one for an agent that has sessions."""
        return uncertain and response.status == 404 and missing_resource(read_error(response).text) == "agent"

    def recover(self, request: Request, response: Response, context: RecoveryContext) -> Flow[Response]:
        """The response to a deletion."""
        return Response(204, response.headers)
        yield  # a flow, like the others
