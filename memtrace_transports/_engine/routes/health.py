"""What the two routes that need no key answer."""

from __future__ import annotations

from memtrace.transport import Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.go_json.writer import Writable
from memtrace_transports._engine.routes.request import json_response
from memtrace_transports._engine.timestamps import duration_text

_NO_INSTANCES_HINT = "configure an Arc instance with `memtrace org add-arc`"


def health(engine: Engine) -> Response:
    """``GET /health``: always well."""
    uptime = duration_text(engine.stamps.elapsed() - engine.stamps.started)
    members: dict[str, Writable] = {"arc": _arcs(engine), "service": "memtrace", "status": "ok", "uptime": uptime}
    return json_response(200, members)


def ready(engine: Engine) -> Response:
    """``GET /ready``: ready when there is storage and all of it can be reached."""
    arcs = _arcs(engine)
    if not arcs:
        return json_response(503, {"hint": _NO_INSTANCES_HINT, "reason": "no_instances", "status": "not ready"})
    if not all(arcs.values()):
        return json_response(503, {"arc": arcs, "status": "not ready"})
    return json_response(200, {"arc": arcs, "status": "ready"})


def _arcs(engine: Engine) -> dict[str, Writable]:
    return dict(sorted(engine.arcs().items()))
