"""Requests to a fake, said shortly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from memtrace.transport import Headers, Method, Request, Response
from memtrace_transports.memory import FakeMemtrace, Organisation

API = "/api/v1"
Json = Any


@dataclass(frozen=True)
class Answer:
    """A response, with its JSON read."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def text(self) -> str:
        return self.response.body.decode()

    @property
    def json(self) -> Json:
        return json.loads(self.response.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])

    @property
    def headers(self) -> Headers:
        return self.response.headers


@dataclass(frozen=True)
class Caller:
    """Sends as one organisation, to paths below /api/v1."""

    fake: FakeMemtrace
    org: Organisation

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request, `headers` in place of the key."""
        fields = {"x-api-key": self.org.api_key} if headers is None else headers
        request = Request(cast("Method", method), "http://fake", target, Headers(fields), body)
        return Answer(self.fake.handle(request))

    def get(self, path: str) -> Answer:
        return self.send("GET", API + path)

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", API + path)

    def post(self, path: str, value: Json = None) -> Answer:
        return self.raw("POST", path, json.dumps(value).encode())

    def put(self, path: str, value: Json) -> Answer:
        return self.raw("PUT", path, json.dumps(value).encode())

    def raw(self, method: str, path: str, body: bytes | None, content_type: str | None = "application/json") -> Answer:
        headers = {"x-api-key": self.org.api_key}
        if content_type is not None:
            headers["Content-Type"] = content_type
        return self.send(method, API + path, body, headers=headers)

    def add(self, content: str = "likes tea", **fields: Json) -> Answer:
        return self.post("/memories", {"agent_id": "bot", "content": content, **fields})

    def contents(self, path: str = "/memories?order=asc") -> list[str]:
        """What the memories of an answer say, in its order."""
        return [memory["content"] for memory in self.get(path).json["memories"]]

    def found(self, **query: Json) -> list[str]:
        """What a search finds, oldest first."""
        return [row["content"] for row in self.post("/search", {"order": "asc", **query}).json["results"]]
