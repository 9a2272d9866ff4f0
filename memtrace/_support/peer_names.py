"""What users of other memory libraries and of 0.2.0 write out of habit, and what does it here.

Read where a name is not there, and never otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from memtrace._support.error_text import did_you_mean

if TYPE_CHECKING:
    from types import FunctionType

_IMMUTABLE = "memories are immutable and have no ID"
_NEWER = f"{_IMMUTABLE}: write a newer one with memories.add(...)"
_KEPT = f"{_IMMUTABLE}: the server has no route that deletes one"
_READ = f"{_IMMUTABLE}: read them with memories.list(...), memories.iter(...) or memories.search(query)"
_USERS = "Memtrace has no users: give each user their own agent_id (docs: One agent, many users)"
_PER_CALL = "settings of one call are those of a copy of the client"

CLIENT_NAMES: Final[Mapping[str, str]] = {
    "add": "use client.remember(agent_id, text) or client.memories.add(...)",
    "add_messages": "use client.memories.add_many(...), one memory for each message",
    "search": "use client.memories.search(query, agent_id=...)",
    "query": "use client.memories.search(query, agent_id=...)",
    "retrieve": "use client.memories.search(query, agent_id=...)",
    "get": _READ,
    "get_all": "use client.memories.iter(agent_id=...), which reads all of them page by page",
    "update": _NEWER,
    "delete": _KEPT,
    "delete_all": _KEPT,
    "reset": f"{_KEPT}; in a test, make another client of memory://",
    "history": f"{_IMMUTABLE}, so that a memory has no history: read what was written with memories.iter(...)",
    "memory": "use client.memories",
    "users": _USERS,
    "user": _USERS,
    "threads": "use client.sessions: a session groups the memories of one conversation",
    "thread": "use client.sessions: a session groups the memories of one conversation",
    "copy": "use client.with_options(...)",
    "aclose": "use client.close(), which an async client awaits",
    "forget": f"{_KEPT}; in a store in a file, `memtrace-sdk store forget` erases an agent's",
    "list": "use client.memories.list(...)",
    "store": "use client.remember(agent_id, text)",
    "session": "use client.sessions: sessions.open(agent_id) for a block",
    "post": "use client.request(method, path), which calls any route of the server",
    "put": "use client.request(method, path), which calls any route of the server",
    "_client": "the HTTP library is the transport's own: use client.request(method, path), which calls any route of the server",
}
MEMORIES_NAMES: Final[Mapping[str, str]] = {
    "get": _READ,
    "get_all": "use memories.iter(...), which reads all of them page by page",
    "all": "use memories.iter(...), which reads all of them page by page",
    "find": "use memories.search(query) or memories.filter(content_contains=...)",
    "query": "use memories.search(query)",
    "create": "use memories.add(...)",
    "append": "use memories.add(...)",
    "insert": "use memories.add(...)",
    "put": "use memories.add(...)",
    "update": _NEWER,
    "upsert": _NEWER,
    "delete": _KEPT,
    "delete_all": _KEPT,
    "remove": _KEPT,
    "forget": f"{_KEPT}; in a store in a file, `memtrace-sdk store forget` erases an agent's",
    "history": f"{_IMMUTABLE}, so that a memory has no history",
    "store": "use memories.add(...)",
    "clear": _KEPT,
    "count": "use client.agents.stats(agent_id), which counts an agent's memories",
    "[]": "use memories.list(...)[0], or iterate over memories.iter(...)",
}
AGENTS_NAMES: Final[Mapping[str, str]] = {
    "create": "use agents.register(name)",
    "add": "use agents.register(name)",
    "get_or_create": "use agents.get_or_register(name)",
    "update": "the server has no route that changes an agent: register another one",
    "retrieve": "use agents.get(agent_id)",
    "[]": "use agents.get(agent_id), or agents.list()[0]",
}
SESSIONS_NAMES: Final[Mapping[str, str]] = {
    "add": "use sessions.open(agent_id) for a block, or sessions.create(agent_id)",
    "start": "use sessions.open(agent_id) for a block, or sessions.create(agent_id)",
    "get_or_create": "use sessions.create(agent_id), and keep the ID that it returns",
    "end": "use sessions.close(session_id)",
    "delete": "the server has no route that deletes a session: sessions.close(session_id) ends it",
    "retrieve": "use sessions.get(session_id)",
    "[]": "use sessions.get(session_id), or sessions.list()[0]",
}
SESSION_NAMES: Final[Mapping[str, str]] = {
    "add": "use session.remember(text)",
    "search": "use session.recall(query=...)",
    "close": "the end of its block closes it; client.sessions.close(session_id) closes any",
    "messages": "use session.recall()",
    "memories": "use session.recall()",
    "session_id": "use session.id",
    "status": "use session.session.status",
    "metadata": "use session.session.metadata",
    "created_at": "use session.session.created_at",
}
_CONTENT_WORDS = ("text", "message", "data", "body", "page_content", "document")
_NO_ID = "memories have no ID; agent_id, time and content, or your dedup_key, identify one"
MEMORY_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys((*_CONTENT_WORDS, "memory"), "use .content"),
    **dict.fromkeys(("id", "memory_id", "uuid", "hash"), _NO_ID),
    **dict.fromkeys(("created_at", "timestamp"), "use .time, when the server stored it, or .occurred_at"),
    "updated_at": f"{_IMMUTABLE}: .time is when it was stored",
    "user_id": f"use .agent_id; {_USERS}",
    "type": "use .memory_type",
    "categories": "use .tags",
    "labels": "use .tags",
    "reasoning": "use .metadata['reasoning'], which decisions have",
    "score": "use client.memories.search(query), whose hits have a score",
    "to_dict": "use .model_dump()",
}
LIST_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("results", "memories", "items", "data", "hits", "agents", "sessions"),
        "it is a list: iterate over it, or use [0]",
    ),
    **dict.fromkeys(("content", "id", "name"), "it is a list: use it of an item, as in [0]"),
    "total": "use .count, which counts the items of this result",
    "next_page": "use memories.iter(...), which reads page by page",
    "to_dict": "use .model_dump()",
}
HIT_NAMES: Final[Mapping[str, str]] = {
    **{
        name: f"use .memory.{name}"
        for name in (
            *("time", "org_id", "agent_id", "session_id", "memory_type", "event_type", "content", "metadata"),
            *("tags", "dedup_key", "importance", "parent_id", "occurred_at", "model_dump"),
        )
    },
    **dict.fromkeys(_CONTENT_WORDS, "use .memory.content"),
    **dict.fromkeys(("id", "memory_id"), _NO_ID),
    "similarity": "use .score",
    "distance": "use .score",
    "rank": "hits are in order, the most relevant first",
    "[]": "use .memory and .score",
}
HITS_NAMES: Final[Mapping[str, str]] = {
    **LIST_NAMES,
    "to_dict": "use [hit.memory.model_dump() for hit in hits]",
    "model_dump": "use [hit.memory.model_dump() for hit in hits]",
}
OUTCOME_NAMES: Final[Mapping[str, str]] = {
    **{
        name: f"use .memory.{name}; .memory is None unless .status is 'stored'"
        for name in ("content", "agent_id", "session_id", "time", "dedup_key", "tags", "metadata")
    },
    **dict.fromkeys(("id", "memory_id"), _NO_ID),
    **dict.fromkeys(("ok", "success", "stored"), "use .status"),
    **dict.fromkeys(("exception", "reason", "message"), "use .error"),
    "result": "use .memory",
}
BATCH_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("results", "items"), "use .outcomes, or iterate over it"),
    **dict.fromkeys(("memories", "succeeded"), "use .stored, the stored memories"),
    **dict.fromkeys(("errors", "failures", "rejected"), "use .failed, their indexes; each outcome has an error"),
    "success": "use .ok",
    "total": "use .count",
}
AGENT_NAMES: Final[Mapping[str, str]] = {
    "agent_id": "use .id",
    "memories": "use client.agents.memories(agent.id)",
    "sessions": "use client.sessions.list(agent.id)",
    "stats": "use client.agents.stats(agent.id)",
    "remember": "use client.remember(agent.id, text)",
    "recall": "use client.recall(agent.id)",
    "decide": "use client.decide(agent.id, decision, reasoning)",
    "search": "use client.memories.search(query, agent_id=agent.id)",
    "delete": "use client.agents.delete(agent.id)",
    "to_dict": "use .model_dump()",
}
STATS_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("memories", "count", "total"), "use .memory_count"),
    "sessions": "use .session_count, or .active_sessions",
    "errors": "use .errors_24h",
    "id": "use .agent_id",
    "to_dict": "use .model_dump()",
}
STORED_SESSION_NAMES: Final[Mapping[str, str]] = {
    "session_id": "use .id",
    "memories": "use client.sessions.memories(session.id)",
    **dict.fromkeys(
        ("remember", "recall", "decide", "prompt_context"),
        "use client.sessions.open(agent_id) for a block, which has it; or pass session_id=session.id",
    ),
    "context": "use client.sessions.context(session.id)",
    "close": "use client.sessions.close(session.id)",
    "update": "use client.sessions.update(session.id, ...)",
    "to_dict": "use .model_dump()",
}
CONTEXT_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("text", "content", "prompt", "markdown"), "use .context"),
    "messages": "use client.sessions.prompt_context(session_id), which has messages",
    "memories": "use client.sessions.memories(session_id)",
    "to_dict": "use .model_dump()",
}
PROMPT_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("context", "content", "prompt", "markdown"), "use .text"),
    **dict.fromkeys(("token_count", "total_tokens", "num_tokens"), "use .tokens"),
    "memory_count": "use len(.memories)",
    "truncated": "use .omitted, how many memories did not fit",
}
RESPONSE_NAMES: Final[Mapping[str, str]] = {
    "status_code": "use .status",
    "content": "use .body",
    "text": "use .body.decode()",
    "json": "use .parsed, or json.loads(.body)",
    "data": "use .parsed",
}

KEYWORDS: Final[Mapping[str, str]] = {
    "user_id": _USERS,
    "user": _USERS,
    "app_id": "one API key is one organisation: make a client for each",
    "run_id": "use session_id",
    "thread_id": "use session_id",
    "conversation_id": "use session_id",
    "namespace": "use agent_id and tags",
    "messages": "use content, one memory for each message",
    "message": "use content",
    "data": "use content",
    "text": "use content",
    "memory": "use content",
    "categories": "use tags",
    "labels": "use tags",
    "timestamp": "the server sets the time; occurred_at says when it happened, if not now",
    "time": "the server sets the time; occurred_at says when it happened, if not now",
    "expiration_date": f"{_IMMUTABLE}, and do not expire",
    "ttl": f"{_IMMUTABLE}, and do not expire",
    "idempotency_key": "use dedup_key",
    "filters": "pass each filter as its own keyword",
    "top_k": "use limit",
    "k": "use limit",
    "n": "use limit",
    "count": "use limit",
    "page": "use memories.iter(...), which reads page by page",
    "threshold": "scores of different queries cannot be compared: use limit",
    "min_score": "scores of different queries cannot be compared: use limit",
    "timeout": f"{_PER_CALL}: client.with_options(timeout=...)",
    "extra_headers": f"{_PER_CALL}: client.with_options(headers=...)",
    "headers": f"{_PER_CALL}: client.with_options(headers=...)",
    "max_retries": f"{_PER_CALL}: client.with_options(retry=RetryPolicy(max_attempts=...))",
    "retry": f"{_PER_CALL}: client.with_options(retry=...)",
    "dedup": f"{_PER_CALL}: client.with_options(dedup=...); or give the memory a dedup_key",
    "extra_query": "use client.request(method, path, params=...)",
    "extra_body": "use client.request(method, path, json=...)",
}
"""Of the methods."""

CLIENT_KEYWORDS: Final[Mapping[str, str]] = {
    "max_retries": "use retry=RetryPolicy(max_attempts=...); the first attempt counts",
    "retries": "use retry=RetryPolicy(max_attempts=...); the first attempt counts",
    "url": "use base_url",
    "host": "use base_url",
    "endpoint": "use base_url",
    "token": "use api_key",
    "key": "use api_key",
    "default_headers": "use headers",
    "extra_headers": "use headers",
    "http_client": "use transport=HttpxTransport(client=...)",
    "session": "use transport=RequestsTransport(session=...)",
    "proxy": "use transport_options=TransportOptions(proxy=...)",
    "proxies": "use transport_options=TransportOptions(proxy=...)",
    "verify": "use transport_options=TransportOptions(ca_bundle=...)",
    "cert": "use transport_options=TransportOptions(client_cert=...)",
    "organisation": "the API key decides the organisation",
    "organization": "the API key decides the organisation",
    "org_id": "the API key decides the organisation",
    "project_id": "the API key decides the organisation",
    "agent_id": "each call names its agent: client.remember(agent_id, text)",
    "user_id": _USERS,
}
"""Of the clients themselves."""


class HintsAtNames:
    """Has the error for a name of a peer, or for an index, say what to use."""

    __slots__ = ()

    _peer_names: ClassVar[Mapping[str, str]]

    if not TYPE_CHECKING:  # pragma: no branch - to a type checker every name and index would be there

        def __getattr__(self, name: str) -> object:
            inherited = getattr(super(), "__getattr__", None) or partial(object.__getattribute__, self)
            hint = self._peer_names.get(name)
            if hint is None or name in dir(type(self)):  # a property of a subclass failed
                return inherited(name)
            try:
                return inherited(name)  # a field of a newer server
            except AttributeError as error:
                raise AttributeError(f"{error}: {hint}") from None

        def __getitem__(self, key: object) -> object:
            if not isinstance(key, str):
                hint = self._peer_names.get("[]", "use its attributes")
            elif key in dir(self) or key in (getattr(self, "model_extra", None) or ()):
                hint = f"use .{key}"
            else:
                hint = self._peer_names.get(key, "use its attributes")
            raise TypeError(f"{type(self).__name__!r} object is not subscriptable: {hint}")


def unexpected_keyword(name: str, names: Iterable[str], hints: Mapping[str, str] = KEYWORDS) -> TypeError:
    """The error for a keyword that a function does not have: the near one, or what does it here; then all there are.

    >>> print(unexpected_keyword("tag", ["content", "tags"]))
    unexpected keyword argument 'tag'. Did you mean 'tags'? The keywords are content, tags
    >>> print(unexpected_keyword("top_k", ["agent_id", "limit"]))
    unexpected keyword argument 'top_k': use limit. The keywords are agent_id, limit
    """
    known = [*names]
    told = f": {hints[name]}." if name in hints else f".{did_you_mean(name, known)}"
    listed = f"The keywords are {', '.join(known)}" if known else "There are no keywords"
    return TypeError(f"unexpected keyword argument {name!r}{told} {listed}")


def unknown_setting(unknown: dict[str, Any], function: object) -> TypeError:
    """The error for keywords that a function of a client does not have. Forgets their values: one may be a secret."""
    name = next(iter(unknown))
    unknown.clear()
    return unexpected_keyword(name, argument_names(function), CLIENT_KEYWORDS)


def argument_names(method: object) -> tuple[str, ...]:
    """The names of a method's arguments, without `self`."""
    code = cast("FunctionType", method).__code__
    return code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
