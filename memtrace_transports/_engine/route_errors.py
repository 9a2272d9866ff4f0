"""How a rule of the server ends a request: a status and the server's own text."""

from __future__ import annotations


class RouteError(Exception):
    """The server answers `status` with ``{"error": text}`` and, where there is one, a hint."""

    def __init__(self, status: int, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.hint = hint


def no_storage() -> RouteError:
    """503: the organisation has no Arc instance."""
    hint = "ask an admin to run `memtrace org add-arc <org_id>`"
    return RouteError(503, "no arc instance configured for this org", hint)


def storage_unreachable(action: str) -> RouteError:
    """500: a read found the organisation's Arc instance down. `action` is ``query memories`` and the like."""
    return RouteError(500, f"failed to {action}: failed to query Arc: dial tcp: connect: connection refused")


def unreadable_time(action: str, text: str) -> RouteError:
    """500: Arc could not read a time bound."""
    return RouteError(
        500, f"failed to {action}: Arc query failed (status 500): could not convert string '{text}' to TIMESTAMP"
    )


def agent_exists(name: str) -> RouteError:
    """Another agent of the organisation has this name."""
    return RouteError(409, f"agent '{name}' already exists in this organization")


def agent_not_found() -> RouteError:
    """No agent has this id or name."""
    return RouteError(404, "agent not found")


def agent_in_use() -> RouteError:
    """Sessions hold this agent."""
    return RouteError(404, "FOREIGN KEY constraint failed")


def session_without_agent() -> RouteError:
    """A session needs a registered agent."""
    return RouteError(400, "failed to create session: FOREIGN KEY constraint failed")
