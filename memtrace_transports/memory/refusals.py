"""How a rule of the server ends a request: a status and the server's own text."""

from __future__ import annotations

__all__ = ["Refusal", "no_storage", "storage_unreachable", "unreadable_time"]


class Refusal(Exception):  # noqa: N818 - an answer of the server, no failure of the fake
    """The server answers `status` with ``{"error": text}`` and, where there is one, a hint."""

    def __init__(self, status: int, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.hint = hint


def no_storage() -> Refusal:
    """503: the organisation has no Arc instance."""
    hint = "ask an admin to run `memtrace org add-arc <org_id>`"
    return Refusal(503, "no arc instance configured for this org", hint)


def storage_unreachable(action: str) -> Refusal:
    """500: a read found the organisation's Arc instance down. `action` is ``query memories`` and the like."""
    return Refusal(500, f"failed to {action}: failed to query Arc: dial tcp: connect: connection refused")


def unreadable_time(action: str, text: str) -> Refusal:
    """500: Arc could not read a time bound."""
    return Refusal(
        500, f"failed to {action}: Arc query failed (status 500): could not convert string '{text}' to TIMESTAMP"
    )
