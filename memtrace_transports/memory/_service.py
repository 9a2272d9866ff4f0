"""One request through a fake server: the fault plan, the response, the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from memtrace.transport import Headers, Request, Response
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.routes.authentication import first_values, key_of
from memtrace_transports._engine.routes.cross_origin import is_preflight
from memtrace_transports._engine.routes.dispatch import BODY_LIMIT, answer, finished
from memtrace_transports._engine.routes.matching import RouteMatch, match_route
from memtrace_transports._engine.routes.memories import is_batch
from memtrace_transports._engine.routes.request import RouteRequest
from memtrace_transports._engine.timestamps import SECOND
from memtrace_transports.memory._controls.call_log import CallLog, LoggedCall, masked
from memtrace_transports.memory._controls.faults import Fault, FaultPlan
from memtrace_transports.memory._controls.strict import StrictModeError, check_strictly
from memtrace_transports.memory._fake_engine import FakeEngine
from memtrace_transports.memory.exchange import Exchange, Failure

_Serve = Callable[[], Response | None]


def serve(engine: FakeEngine, faults: FaultPlan, log: CallLog, request: Request) -> Exchange:
    """Answer `request`, as the fault plan lets it, and write it down. The caller holds the fake's lock.

    Raises StrictModeError, in strict mode alone, and what a fault's `when` raises; the call is written down all the same.
    """
    route_match = match_route(request)
    headers = first_values(request.headers)
    if is_preflight(request.method, headers):  # as on the server, no log has it: a plan is for what a program sends
        return Exchange(answer(engine, request, route_match, headers))
    key = key_of(headers)
    org = engine.organisation_of(key) if key and not route_match.is_open else None
    call = _logged(engine, request, route_match, headers, org)
    try:
        if engine.observer is not None and org is not None:  # before a fault is used up
            check_strictly(request, route_match, headers)
        fault = faults.next(call)
        call.fault = fault.kind if fault is not None else None
        exchange = _exchange(engine, request, fault, org, partial(answer, engine, request, route_match, headers))
        if exchange.failure is None and exchange.response is not None:
            call.status = exchange.response.status
    except StrictModeError:
        call.fault = "strict mode"
        raise
    finally:
        log.add(call)
    return exchange


def _logged(
    engine: FakeEngine,
    request: Request,
    route_match: RouteMatch,
    headers: Mapping[str, str],
    org: OrganisationState | None,
) -> LoggedCall:
    route, body = route_match.route, request.body
    operation = route.operation if route is not None else _open_operation(route_match)
    if body is not None and len(body) > BODY_LIMIT:  # too large to be kept and looked at later
        if operation == "memories.add" and is_batch(RouteRequest((), {}, headers.get("content-type", ""), body)):
            operation = "memories.add_many"
        body = None
    return LoggedCall(
        operation,
        method=route_match.method,
        path=route_match.path,
        at=engine.stamps.clock.wall(),
        org=None if org is None else org.name,
        org_id=None if org is None else org.org_id,
        variable=(route.variable, route_match.segments[0]) if route is not None and route.variable else None,
        query=dict(route_match.query),
        body=body,
        headers=masked(headers),
    )


def _open_operation(route_match: RouteMatch) -> str:
    return (
        route_match.folded[0]
        if route_match.open_handler is not None and route_match.read_method == "GET"
        else "unknown"
    )


def _exchange(
    engine: FakeEngine, request: Request, fault: Fault | None, org: OrganisationState | None, serve_it: _Serve
) -> Exchange:
    if fault is None:
        return Exchange(serve_it())
    if fault.kind == "refused":
        return Exchange(None, Failure("connect", maybe_sent=False, text="connection refused, by an injected fault"))
    if fault.kind in ("status", "reset"):
        if fault.applied:
            serve_it()
        if fault.kind == "reset":
            return Exchange(None, Failure("reset", maybe_sent=True, text="the connection broke, by an injected fault"))
        response = Response(fault.status, Headers(fault.headers), fault.body)
        return Exchange(finished(engine, request.method, first_values(request.headers), response))
    if fault.kind == "storage_down" and org is not None:
        engine.suspend(org, round((fault.seconds or 0.0) * SECOND))
        return Exchange(serve_it())
    return _corrupted(serve_it(), fault)


def _corrupted(response: Response | None, fault: Fault) -> Exchange:
    """The outcome of an applied request whose response is late or unusable for a client."""
    seconds = fault.seconds or 0.0
    if response is None:
        return Exchange(None)
    if fault.kind == "delay":
        return Exchange(response, seconds=seconds)
    if fault.kind == "slow_body":
        return Exchange(response, body_seconds=seconds)
    if fault.kind == "truncated" or not response.body:
        what = "cut short" if fault.kind == "truncated" else "no HTTP"
        failure = Failure("protocol", maybe_sent=True, text=f"the response was {what}, by an injected fault")
        return Exchange(response, failure)
    return Exchange(replace(response, body=response.body[: len(response.body) // 2]))
