"""Requests that nobody would send, made from a seed: for the fake in process, and for a server byte by byte."""

from __future__ import annotations

import json
from random import Random

__all__ = ["damaged", "raw_request", "request"]

_METHODS = ["GET", "POST", "PUT", "DELETE"] * 6 + ["HEAD", "OPTIONS", "PATCH", "get", "TRACE", "M-SEARCH", "X" * 50]
_SEGMENTS = [
    "memories",
    "agents",
    "sessions",
    "search",
    "health",
    "ready",
    "stats",
    "context",
    "bot",
    "Bob",
    "_fake",
    "calls",
]
_ROOTS = ["memories", "agents", "sessions", "search"]
_ODD = ["", ".", "..", "a b", "%2F", "%", "%zz", "%00", "é", "<b>", "\x7f", "#", "'", "x" * 300, "🐘", "a;b", "a,b"]
_NAMES = [
    "agent_id", "session_id", "memory_type", "event_type", "tags", "since", "until", "limit", "offset", "order", "content",
    "name", "description", "config", "status", "metadata", "memories", "importance", "parent_id", "dedup_key", "max_tokens",
    "include_types", "memory_types", "event_types", "content_contains", "min_importance", "Content", "AGENT_ID", "nonsense",
]  # fmt: skip
_TEXTS = [
    "bot", "Bob", "episodic", "general", "asc", "24h", "2020-01-01", "now", "1.5h", "9999999999h", "0000-00-00", "active",
    "closed", "", " ", "a,b", "%", "_", "\\", "\0", "é" * 50, "x" * 5000, "-1", "1001", "1e9", "9" * 400, "\ud800", "2020-13-45T99",
]  # fmt: skip
_NUMBERS = [0, 1, -1, 1.5, 1e308, -0.0, 2**53 + 1, 2**63, 10**30, 1000, 1001, 0.1]
_TYPES = ["application/json"] * 6 + [
    "text/plain",
    "application/problem+json; charset=x",
    "application/x-www-form-urlencoded",
    "",
]


def request(random: Random, key: str, known: list[str]) -> tuple[str, str, list[tuple[str, str]], bytes | None]:
    """Method, target, headers and body; `known` are ids that exist."""
    target = _path(random, known) + _query(random, known)
    headers = [_authentication(random, key)]
    if random.random() < 0.8:
        headers.append((random.choice(["Content-Type", "content-type"]), random.choice(_TYPES)))
    if random.random() < 0.1:
        headers.append(
            (random.choice(["X-Odd", "Accept", "Cookie", "Range"]), random.choice(["", "x", "é", "bytes=0-"]))
        )
    return random.choice(_METHODS), target, headers, _body(random, known)


def raw_request(random: Random, key: str, known: list[str]) -> bytes:
    """A whole request as bytes; its target as a client would quote it, mostly."""
    method, target, headers, body = request(random, key, known)
    if random.random() < 0.9:
        target = "".join(letter if "!" <= letter <= "~" else "%41" for letter in target) or "/"
    lines = [f"{method} {target} HTTP/1.1", "Host: fake", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode(errors="replace") + (body or b"")


def damaged(random: Random, data: bytes) -> bytes:
    """`data` with some of its bytes changed, left out, or doubled."""
    out = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(out) or 1)
        out[place : place + random.choice([0, 1, 1, 1, 9])] = random.choice(
            [b"", b"\0", b"\r\n", b":", b"\xff", bytes(out[place : place + 20])]
        )
    return bytes(out)


def _path(random: Random, known: list[str]) -> str:
    prefix = (
        "/api/v1"
        if random.random() < 0.85
        else random.choice(["", "/", "//", "/API/V1", "/api/v2", "api", "/_fakes", "*"])
    )
    segments = [random.choice(_ROOTS)] if random.random() < 0.7 else []
    for _ in range(random.choice([0, 0, 0, 1, 1, 1, 2, 2, 3, 4])):
        place = random.random()
        segments.append(random.choice(_SEGMENTS if place < 0.6 else known if place < 0.9 and known else _ODD))
    return "/".join([prefix, *segments]) + random.choice(["", "", "", "/", "?", "#x"])


def _query(random: Random, known: list[str]) -> str:
    if random.random() < 0.5:
        return ""
    pairs = [f"{random.choice(_NAMES)}={random.choice([*_TEXTS, *_ODD, *known])}" for _ in range(random.randint(0, 4))]
    return "?" + random.choice(["&", "&&", ";"]).join(pairs)


def _authentication(random: Random, key: str) -> tuple[str, str]:
    if random.random() < 0.9:
        return "x-api-key", key
    return random.choice(
        [("Authorization", f"Bearer {key}"), ("x-api-key", ""), ("x-api-key", "é"), ("Authorization", "bearer")]
    )


def _body(random: Random, known: list[str]) -> bytes | None:
    form = random.random()
    if form < 0.2:
        return None
    if form < 0.25:
        return random.randbytes(random.randint(0, 40))
    whole = {random.choice(_NAMES): _value(random, known, 0) for _ in range(random.choice([0, 0, 0, 1, 3, 6]))}
    if form < 0.8:
        whole |= {
            "agent_id": random.choice(["bot", *known]),
            "content": random.choice(_TEXTS),
            "name": random.choice(_TEXTS),
        }
    data = json.dumps(whole, ensure_ascii=random.random() < 0.5).encode(errors="replace")
    return damaged(random, data) if random.random() < 0.1 else data


def _value(random: Random, known: list[str], depth: int) -> object:
    choice = random.random()
    if choice < 0.5:
        return random.choice([*_TEXTS, *known])
    if choice < 0.7:
        return random.choice(_NUMBERS)
    if choice < 0.8 or depth > 2:
        return random.choice([None, True, False, [], {}])
    if choice < 0.9:
        return [_value(random, known, depth + 1) for _ in range(random.randint(0, 3))]
    return {random.choice([*_NAMES, *_ODD]): _value(random, known, depth + 1) for _ in range(random.randint(0, 3))}
