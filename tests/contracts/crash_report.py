"""What a crash reporter shows of an error: the locals of every frame by their `repr`, of ours also what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import memtrace
import memtrace_transports

OURS = tuple(str(Path(package.__file__).parent) for package in (memtrace, memtrace_transports))


def frames_of(error):
    """Every frame of an error, of what led to it, and of what it carries."""
    waiting, seen = [error], set()
    while waiting:
        link = waiting.pop()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        waiting += [link.__cause__, link.__context__, getattr(link, "last_cause", None), *link.args]
        step = link.__traceback__
        while step is not None:
            yield step.tb_frame
            step = step.tb_next


def shown(value, depth=0):
    """A value as sentry-sdk writes it: mappings and sequences are walked, anything else is its `repr`."""
    if depth < 5 and isinstance(value, Mapping):
        return " ".join(f"{name}: {shown(item, depth + 1)}" for name, item in value.items())
    if depth < 5 and isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (str, bytes)):
        return " ".join(shown(item, depth + 1) for item in value)
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # half-made, as in the frame of an `__init__`
        return repr(type(error))


def attributes(value):
    """What hangs on a value, by name."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    found = {name: getattr(value, name) for name in slots if name[:2] != "__" and hasattr(value, name)}
    return {**getattr(value, "__dict__", {}), **found}


def places_of(secret, error, *, but=()):
    """The locals of frames that show `secret`, but for those of the files `but`."""
    places = []
    for frame in frames_of(error):
        if frame.f_code.co_filename in but:
            continue
        ours = frame.f_code.co_filename.startswith(OURS)
        for name, value in frame.f_locals.items():
            looked_at = {name: shown(value) if ours else repr(value)}
            if ours:
                looked_at |= {f"{name}.{hanging}": shown(item) for hanging, item in attributes(value).items()}
            places += [
                f"{frame.f_globals['__name__']}.{frame.f_code.co_name}: {place}"
                for place, text in looked_at.items()
                if secret in text
            ]
    return places
