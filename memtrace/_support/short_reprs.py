"""How values look in the repr of what holds them: cut, since reprs appear in logs. Knows no model."""

from __future__ import annotations

from reprlib import Repr
from typing import Final


class _Shown(str):
    """A repr that is made already."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _cutter() -> Repr:
    cutter = Repr()
    cutter.maxlevel = 3
    cutter.maxlist = cutter.maxtuple = 3
    cutter.maxdict = 4
    cutter.maxstring = 80
    cutter.maxother = 1000
    return cutter


_CUTTER: Final = _cutter()


def short_repr(value: object) -> object:
    """What shows as the repr of a value in a thousand characters or so: the first items of a list, the ends of a long text.

    >>> short_repr(list(range(1000))), short_repr("tea " * 1000)
    ([0, 1, 2, ...], 'tea tea tea tea tea tea tea tea tea t...a tea tea tea tea tea tea tea tea tea ')
    """
    return _Shown(_CUTTER.repr(value))
