"""What to do about a failure, as it fits the place that the base URL names: a server, the fake in this process, or another."""

from __future__ import annotations

from memtrace.exceptions import NO_MEMTRACE_THERE
from memtrace.transport import Request

_OF_THE_STORE = "look at the file with: memtrace-sdk store check"
_OF_THE_FAKE = "memory:// is a fake in this process: its faults are injected (fake.faults)"


def server_hint(request: Request, hint: str) -> str:
    """`hint`, where there is a server or a proxy that it can be about."""
    return {"memory": _OF_THE_FAKE, "sqlite": _OF_THE_STORE}.get(_scheme(request), hint)


def unreachable_hint(request: Request) -> tuple[str, str | None]:
    """What to do where no connection came about, or it broke, and the argument to look at."""
    scheme = _scheme(request)
    if scheme == "memory":
        return _OF_THE_FAKE, None
    if scheme in ("http", "https"):
        return f"is the server running at {request.origin}? Check the base URL", "base_url"
    return f"is there what {scheme}:// leads to? Check the base URL, and what its transport needs", "base_url"


def slow_hint(request: Request) -> str:
    """What to do where no answer came in time."""
    if _scheme(request) == "memory":
        return "raise the timeout, or shorten the delay of the fake's fault plan"
    return "raise the timeout, or look at the server's load"


def no_route_hint(request: Request) -> str:
    """What to do where the server does not know the path or its method."""
    if _scheme(request) in ("memory", "sqlite"):
        return "this is a stand-in for a Memtrace server, and there is no server that has this route"
    if "/api/v1/api/v1/" in request.target or request.path.endswith(("/api/v1/health", "/api/v1/ready")):
        return "the base URL ends in /api/v1, which is added to it: leave it out"
    return f"{NO_MEMTRACE_THERE} that has this route"


def _scheme(request: Request) -> str:
    return request.origin.partition("://")[0]
