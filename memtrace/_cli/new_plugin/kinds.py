"""The kinds of plugins that can be written: a row here, and a folder of templates of the same name."""

from __future__ import annotations

from typing import Final, NamedTuple

from memtrace.plugins import (
    MiddlewareSpec,
    RankerSpec,
    Registry,
    TransportSpec,
    middleware_registry,
    ranker_registry,
    transport_registry,
)


class Kind(NamedTuple):
    """What the templates of one kind have in place of ``$group``, ``$summary`` and ``$extras``, and who knows its names."""

    #: The entry-point group.
    group: str
    #: What the example does, in a sentence.
    summary: str
    #: The extras of memtrace-sdk that its tests need.
    extras: str
    #: Where the plugins of this kind are found by name.
    registry: Registry[MiddlewareSpec] | Registry[RankerSpec] | Registry[TransportSpec]


KINDS: Final = {
    "middleware": Kind(
        "memtrace.middleware",
        "A middleware for memtrace-sdk that logs slow calls.",
        "testing",
        middleware_registry,
    ),
    "ranker": Kind(
        "memtrace.rankers",
        "A ranker for memtrace-sdk that lets newer memories go first.",
        "testing",
        ranker_registry,
    ),
    "transport": Kind(
        "memtrace.transports",
        "A transport for memtrace-sdk on Python's standard library.",
        "server,testing",
        transport_registry,
    ),
}
