"""What holds where neither the client nor a call says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from memtrace.models import TagsMatch
    from memtrace.operations import Dedup


class Defaults(NamedTuple):
    """Which idempotency key a memory gets that has none, and how a tag that is asked for has to match."""

    dedup: Dedup
    tags_match: TagsMatch


RESOURCES: Final = Defaults("per_call", "exact")
"""Nothing is lost that is said twice, and nothing is found that was not asked for."""

EARLIER: Final = Defaults("server", "substring")
"""Of the flat methods, as in 0.2.0: the server's own rules."""
