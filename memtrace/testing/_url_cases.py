"""Paths and queries that HTTP libraries like to rewrite."""

from __future__ import annotations

from itertools import product
from typing import Final

_SEGMENTS = (
    "plain", "%7E", "~", "%2E%2E", "%2e%2e", "%2F", "%2f", "a%20b", "a+b", "%2B", "%25", "%2525", "%00", "%C3%BC",
    "%c3%bc", "%E6%9D%B1", "%F0%9F%A7%A0", "%FF", "a:b", "a;b", "a,b", "a=b", "a&b", "a@b", "!$'()*", "%21", "..%2F..",
)  # fmt: skip
_QUERIES = ("", "?", "?a=1&a=2", "?tag=a%20b", "?tag=a+b", "?q=%2B%26%3D%23", "?q=%C3%BC", "?q=a/b?c", "?=")

TARGETS: Final[tuple[str, ...]] = (
    *(f"/api/v1/agents/{segment}{query}" for segment, query in product(_SEGMENTS, _QUERIES)),
    "/",
    "/?",
    "//double",
    "/a//b",
    "/a/",
    "/a/./b",
    "/a/../b",
    f"/?q={'x' * 6000}",
)
"""Over 200 targets as the SDK may build them, or as a base URL may bring them."""
