"""What a failure of the server means for one request: which id was unknown or is held, which time could not be read.

Its database and its storage engine tell failures in their own words, which name neither. The request knows; of it only ids are
named, never contents or keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from memtrace.operations._server_messages import is_foreign_key_violation, unreadable_time
from memtrace.transport import Request

_LONGEST_ID = 128


def unknown_agent(text: str, request: Request) -> str | None:
    """The message for a session of an agent that is not registered; None where `text` says something else.

    >>> request = Request("POST", "http://server", "/api/v1/sessions", body=b'{"agent_id": "bot"}')
    >>> unknown_agent("failed to create session: FOREIGN KEY constraint failed", request)
    "no agent has the id 'bot': failed to create session: FOREIGN KEY constraint failed"
    """
    if not is_foreign_key_violation(text):
        return None
    agent_id = _body_texts(request).get("agent_id")
    return f"no agent has the id {_shown(agent_id)}: {text}" if agent_id else text


def held_agent(text: str, request: Request) -> str | None:
    """The message for an agent that cannot be deleted because of its sessions; None where `text` says something else.

    >>> request = Request("DELETE", "http://server", "/api/v1/agents/bot")
    >>> held_agent("FOREIGN KEY constraint failed", request)
    "sessions hold the agent 'bot': FOREIGN KEY constraint failed"
    """
    if not is_foreign_key_violation(text):
        return None
    agent_id = unquote(request.path.rpartition("/")[2])
    return f"sessions hold the agent {_shown(agent_id)}: {text}" if request.method == "DELETE" else text


def unreadable_time_field(text: str, request: Request) -> str | None:
    """Which of ``since`` and ``until`` the storage engine could not read; None where `text` does not say so."""
    value = unreadable_time(text)
    if value is None:
        return None
    sent = {**dict(parse_qsl(request.target.partition("?")[2])), **_body_texts(request)}
    given = [name for name in ("since", "until") if sent.get(name)]
    if len(given) == 1:
        return given[0]
    return next((name for name in given if sent[name] == value), None)


def _body_texts(request: Request) -> Mapping[str, str]:
    """The texts at the top of a JSON body."""
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return {name: value for name, value in body.items() if isinstance(value, str)} if isinstance(body, dict) else {}


def _shown(agent_id: str) -> str:
    return repr(agent_id if len(agent_id) <= _LONGEST_ID else agent_id[:_LONGEST_ID] + "…")
