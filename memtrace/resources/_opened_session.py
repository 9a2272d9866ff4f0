"""What both forms of an active session know."""

from __future__ import annotations

from collections.abc import Mapping

from memtrace._support.peer_names import SESSION_NAMES, HintsAtNames
from memtrace.models import CreateSessionRequest, Session

_NOT_OPEN = "this session is not open yet: use it as 'with client.sessions.open(agent_id=...) as session:' (async with for AsyncMemtrace)"


class OpenedSession(HintsAtNames):
    """What both forms know: the request, and the session once it is created."""

    _peer_names = SESSION_NAMES

    def __init__(self, request: CreateSessionRequest) -> None:
        self._request = request
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session as the server gave it when the block began. Raises `RuntimeError` before that."""
        if self._session is None:
            raise RuntimeError(_NOT_OPEN)
        return self._session

    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    @property
    def agent_id(self) -> str:
        """The id of the agent whose session it is."""
        return self._request.agent_id

    def _begin(self) -> None:
        if self._session is not None:
            raise RuntimeError("this session was opened before: call client.sessions.open(...) again for another")

    @staticmethod
    def _refuse(fields: Mapping[str, object], *names: str) -> None:
        """A session's own ids are not for its caller to give."""
        for name in names:
            if name in fields:
                raise TypeError(f"unexpected keyword argument {name!r}: it is the open session's own")

    def __repr__(self) -> str:
        state = "not open" if self._session is None else self._session.id
        return f"<{type(self).__name__} {state} of {self.agent_id}>"
