"""The `memories.search` of releases without relevance: calls of that form raise an error with the new name."""

from __future__ import annotations

from collections.abc import Mapping

from memtrace.models import SearchQuery
from memtrace.resources._keyword_hints import MethodT, hinting_keywords

_FORMER = frozenset(SearchQuery.model_fields)
_ONLY_FORMER = ("content_contains", "order")
_TOLD = "search(query) finds memories that are relevant to a query; the server's filter with content_contains is memories.filter(...)"


def refusing_filters(search: MethodT) -> MethodT:
    """`search`, which raises `TypeError` that names `filter` for a `SearchQuery` or its keywords."""
    return hinting_keywords(search, _check)


def _check(args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    query = args[1] if len(args) > 1 else kwargs.get("query")
    if isinstance(query, SearchQuery) or (query is None and "query" not in kwargs and _FORMER.issuperset(kwargs)):
        raise TypeError(_TOLD)
    for name in _ONLY_FORMER:
        if name in kwargs:
            raise TypeError(f"unexpected keyword argument {name!r}: {_TOLD}")
