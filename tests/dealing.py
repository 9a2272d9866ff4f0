"""Cases dealt out to the kinds of a fixture: in a default run each case runs on one kind, in a whole run on every kind.

@by_face("path", ["/a", "/b"])
def test_a_path_is_kept(face, path): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from tests.sampling import crossed

FACES = ["sync", "async"]
DRIVERS = ["sync", "asyncio", "trio"]
VISIBILITIES = ["immediate", "server"]


Labels = Sequence[str] | Callable[[Any], Any] | None


def by_face(names: str | Sequence[str], cases: Iterable[Any], *, ids: Labels = None) -> pytest.MarkDecorator:
    """`pytest.mark.parametrize` for a test with the fixture `face`; each face has a case at least."""
    return dealt("face", FACES, names, cases, ids)


def by_driver(names: str | Sequence[str], cases: Iterable[Any], *, ids: Labels = None) -> pytest.MarkDecorator:
    """`pytest.mark.parametrize` for a test with the fixture `runner`; each driver has a case at least."""
    return dealt("runner", DRIVERS, names, cases, ids)


def by_visibility(names: str | Sequence[str], cases: Iterable[Any], *, ids: Labels = None) -> pytest.MarkDecorator:
    """`pytest.mark.parametrize` for a test with the fixture `fake` of the integrations; each fake has a case at least."""
    return dealt("fake", VISIBILITIES, names, cases, ids)


def dealt(
    fixture: str, kinds: Sequence[str], names: str | Sequence[str], cases: Iterable[Any], ids: Labels = None
) -> pytest.MarkDecorator:
    """`pytest.mark.parametrize` for a test with a fixture of these kinds; each kind has a case at least."""
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]
    rows = [case if hasattr(case, "marks") else pytest.param(*(case if len(names) > 1 else [case])) for case in cases]
    labels = [row.id or _label(row.values, ids, i) for i, row in enumerate(rows)]
    labelled = list(zip(rows, labels, strict=True))
    dealt = [
        pytest.param(kind, *row.values, marks=row.marks, id=f"{kind}-{label}" if label else None)
        for kind, (row, label) in crossed(kinds, labelled, called_from=3)  # the test of `by_face` or its like
    ]
    return pytest.mark.parametrize((fixture, *names), dealt, indirect=[fixture])


def _label(values, ids, index):
    if callable(ids):
        return "-".join(filter(None, map(ids, values))) or None
    return ids[index] if ids else None
