"""The error of the transports for an object that is not a client of their library."""

from __future__ import annotations


def qualified_type(given: object) -> str:
    """The class of what was given, or the class that was given.

    >>> qualified_type(3), qualified_type(int)
    ('an object of builtins.int', 'the class builtins.int')
    """
    kind = given if isinstance(given, type) else type(given)
    return f"{'the class' if kind is given else 'an object of'} {kind.__module__}.{kind.__qualname__}"
