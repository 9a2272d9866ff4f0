"""Odd targets: paths and queries that one library or another would rather write its own way; a default run draws some."""

from __future__ import annotations

from tests.sampling import sample

_ALL = [
    *(f"/a{chr(code)}b" for code in range(0x21, 0x7F)),
    *(f"/p?a={chr(code)}b" for code in range(0x21, 0x7F)),
    *(f"/p/%{code:02X}/x" for code in range(0x20, 0x80)),
    *(f"/q?a=%{code:02x}" for code in range(0x20, 0x60)),
    "/", "//", "//a//b", "/a//b", "/a/../b", "/a/./b", "/..", "/.", "/?", "/p?", "/p??", "/p?#", "/#", "/#f", "/a/?",
    "/a%2Fb", "/a%2fb", "/%2e%2e/x", "/%2E%2E", "/%2e%2E/%2F%2f", "/%7E", "/~x", "/%zz?x=%", "/p?a=%%%", "/p%20q?r=%20",
    "/p?a=1&a=2&b=", "/p?a=b+c%20d%2B", "/p?next=http://x/?y", "/p?a=[1]", "/%C3%A9", "/p?%C3%A9=%c3%a9", "/a;b=c",
    "/http://x", "/http://x/y", "/a:b@c", "/p?a=%26&b=%3D", "/p?a#b?c", "/x?" + "a" * 4000,
]  # fmt: skip

assert len(_ALL) > 200

ODD = sample(_ALL, 60)
