"""Texts that no `repr` shows: by that a crash reporter shows the locals of frames, and what hangs on them."""

from __future__ import annotations

from typing import SupportsIndex, TypeVar, cast

T = TypeVar("T")


class Secret(str):
    """A string that its `repr` hides, also in slices. In all other respects it is a plain string.

    >>> key = Secret("mtk_of_acme")
    >>> key, key[:3], key == "mtk_of_acme", f"{key}"
    ('***', '***', True, 'mtk_of_acme')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, place: SupportsIndex | slice) -> Secret:  # long texts are cut before they are shown
        return Secret(super().__getitem__(place))


class NoText:
    """A placeholder for a value that should be a secret string but is not: `kind` is its class."""

    def __init__(self, value: object) -> None:
        self.kind = type(value)


def hidden(value: T) -> T:
    """`value` as a `Secret` if it is a string; for a local variable in a frame that a traceback may show."""
    return cast("T", Secret(value)) if isinstance(value, str) else value


def hidden_argument(value: T, *others: type) -> T:
    """As `hidden`; what is neither None nor one of `others` becomes a `NoText`, since it may be a secret in another form."""
    if value is None or isinstance(value, (str, *others)):
        return hidden(value)
    return cast("T", NoText(value))
