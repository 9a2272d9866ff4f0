"""The error for what a framework refuses with a `TypeError`."""

from __future__ import annotations

from memtrace.exceptions import InvalidRequestError


class InvalidTypeError(InvalidRequestError, TypeError):
    """An argument of a type that cannot be stored. Frameworks raise `TypeError` for it, so it is one too."""


def invalid_type(field: str, rule: str, reason: str) -> InvalidTypeError:
    """The error for an argument of the wrong type; its text names the field, the rule and the reason, never the value."""
    problem = f"must be {rule}: {reason}"
    return InvalidTypeError(f"{field} {problem}", field=field, rule=rule, problem=problem)
