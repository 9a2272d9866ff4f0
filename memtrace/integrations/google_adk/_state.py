"""The state of a session, by the prefix of its keys: what the session, its user or its app has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from memtrace.integrations._records import hex_digest, json_text

APP, USER, TEMPORARY = "app:", "user:", "temp:"
APP_TAG = "app-state"

JsonObject = dict[str, Any]


def delta_of(event: Mapping[str, Any]) -> JsonObject:
    """What an event changes of the state."""
    delta: JsonObject = (event.get("actions") or {}).get("state_delta") or {}
    return delta


def own(state: JsonObject) -> JsonObject:
    """What a session has for itself."""
    return {key: value for key, value in state.items() if not key.startswith((APP, USER, TEMPORARY))}


def lasting(state: JsonObject) -> JsonObject:
    """A state without its temporary keys, which are not stored."""
    return {key: value for key, value in state.items() if not key.startswith(TEMPORARY)}


def scoped(prefix: str, state: JsonObject) -> JsonObject:
    """What the sessions of a user or of an app share, with its prefix."""
    return {key: value for key, value in state.items() if key.startswith(prefix)}


def state_tags(user_id: str, state: Iterable[str]) -> list[str]:
    """The tags by which the records of a state are found that a user or an app shares."""
    tags = {APP: APP_TAG, USER: user_tag("user-state", user_id)}
    return [tag for prefix, tag in tags.items() if any(key.startswith(prefix) for key in state)]


def user_tag(kind: str, user_id: str) -> str:
    """The tag of a user's records of a kind."""
    return f"{kind}-{digest(user_id)}"


def digest(*texts: str) -> str:
    """Strings as 32 hex digits."""
    return hex_digest(json_text(texts, "texts"))
