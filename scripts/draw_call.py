"""Draw a call, out of the chain that a client runs: python scripts/draw_call.py.

docs/_static/call.svg has a box for each link of the chain of `Memtrace`, in its order, and what runs once an attempt.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from memtrace import Memtrace
from memtrace._runtime.chain import build_chain
from memtrace.middleware import CallNext, Flow, Request, Response, Retry
from memtrace.middleware._placement import BUILT_IN

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "_static" / "call.svg"

LEFT, RIGHT, GAP = 36, 924, 30
YOURS = {"middleware=": "yours, a call", "attempt_middleware=": "yours, an attempt"}

TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 590" role="img" aria-labelledby="title" \
font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif" font-size="15">
  <title id="title">A call from the resource through the operation and the middleware, {names}, to the transport, and back</title>
  <!-- Written by scripts/draw_call.py. Every text stands on a filled shape, so that it reads the same on a light and on a dark page. -->
  <defs>
    <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="5" markerHeight="5" orient="auto-start-reverse">
      <path d="M0 0 L10 5 L0 10 z" fill="#7f8b9b"/>
    </marker>
    <marker id="inner-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="5" markerHeight="5" orient="auto">
      <path d="M0 0 L10 5 L0 10 z" fill="#6d6341"/>
    </marker>
  </defs>

  <rect x="20" y="20" width="920" height="44" rx="8" fill="#27364b"/>
  <text x="480" y="48" text-anchor="middle" fill="#ffffff" font-family="ui-monospace, Menlo, Consolas, monospace">\
client.memories.add(agent_id="assistant", content="…")</text>

  <rect x="20" y="104" width="400" height="76" rx="8" fill="#dfe8f5" stroke="#5b7fb5"/>
  <text x="40" y="132" fill="#1b2a3f" font-weight="600">operations.add_memory → Operation</text>
  <text x="40" y="160" fill="#1b2a3f">checks arguments; request, parse, idempotency</text>
  <rect x="540" y="104" width="400" height="76" rx="8" fill="#dfe8f5" stroke="#5b7fb5"/>
  <text x="560" y="132" fill="#1b2a3f" font-weight="600">operation.parse → Memory</text>
  <text x="560" y="160" fill="#1b2a3f">or the exception that fits</text>

  <rect x="20" y="230" width="920" height="220" rx="10" fill="#f2efe6" stroke="#a08b50"/>
  <text x="40" y="258" fill="#40371b" font-weight="600">one flow of middleware, run by drive (blocking) or drive_async (awaiting)</text>
  <g text-anchor="middle" fill="#ffffff" font-weight="600">
{boxes}
  </g>
  <g fill="none" stroke="#6d6341" stroke-width="2.5" marker-end="url(#inner-tip)">
{arrows}
  </g>
  <g fill="none" stroke="#a08b50" stroke-width="2">
{braces}
  </g>
  <g fill="#40371b" text-anchor="middle">
{labels}
  </g>
  <text x="40" y="434" fill="#40371b">→ Request, with one CallContext for the whole call</text>
  <text x="920" y="434" fill="#40371b" text-anchor="end">Response of any status, or a TransportError ←</text>

  <g fill="none" stroke="#7f8b9b" stroke-width="2.5" marker-end="url(#tip)">
    <path d="M220 66 V100"/>
    <path d="M740 102 V68"/>
    <path d="M220 182 V226"/>
    <path d="M740 228 V184"/>
    <path d="M820 452 V496"/>
    <path d="M874 498 V454"/>
  </g>
  <rect x="540" y="500" width="400" height="70" rx="8" fill="#27364b"/>
  <text x="740" y="528" text-anchor="middle" fill="#ffffff" font-weight="600">transport.send(request) → response</text>
  <text x="740" y="553" text-anchor="middle" fill="#ffffff">httpx, memory, or a plugin</text>
  <rect x="20" y="500" width="440" height="70" rx="8" fill="#dfe8f5" stroke="#5b7fb5"/>
  <text x="40" y="528" fill="#1b2a3f" font-weight="600">effects: what a flow asks its driver for</text>
  <text x="40" y="553" fill="#1b2a3f">call_next · sleep · call · lock</text>
</svg>
"""


def chain() -> tuple[list[str], int]:
    """The names of a client's links, outermost first, and how many of them run once a call."""

    def a_call(request: Request, call_next: CallNext) -> Flow[Response]:
        return (yield from call_next(request))

    def an_attempt(request: Request, call_next: CallNext) -> Flow[Response]:
        return (yield from call_next(request))

    lists = {id(a_call): "middleware=", id(an_attempt): "attempt_middleware="}
    with Memtrace("memory://", "any key", middleware=[a_call], attempt_middleware=[an_attempt]) as client:
        links = build_chain(client._dispatcher.settings)  # noqa: SLF001 - the chain that is drawn is not public
    built_in = iter(BUILT_IN)
    names = [lists.get(id(link)) or next(built_in) for link in links]
    return names, next(i for i, link in enumerate(links) if isinstance(link, Retry)) + 1


def places(names: list[str]) -> Iterator[tuple[str, int, int]]:
    """Each name with the left edge and the width of its box: as wide as its text needs, and what is left over, shared."""
    needed = [9 * len(name) for name in names]
    spare = (RIGHT - LEFT - GAP * (len(names) - 1) - sum(needed)) // len(names)
    left = LEFT
    for name, width in zip(names, needed, strict=True):
        yield name, left, width + spare
        left += width + spare + GAP


def picture() -> str:
    """The drawing, as SVG."""
    names, once = chain()
    placed = list(places(names))
    boxes, arrows = [], []
    for name, left, width in placed:
        middle = left + width // 2
        boxes.append(f'    <rect x="{left}" y="280" width="{width}" height="76" rx="8" fill="{_fill(name)}"/>')
        if name in YOURS:
            boxes += [
                f'    <text x="{middle}" y="314">{name}</text>',
                f'    <text x="{middle}" y="338" font-weight="400">{YOURS[name]}</text>',
            ]
        else:
            boxes.append(f'    <text x="{middle}" y="323">{name}</text>')
    for (_, left, width), (_, following, _) in pairwise(placed):
        arrows += [
            f'    <path d="M{left + width + 2} 306 H{following - 3}"/>',
            f'    <path d="M{following - 2} 332 H{left + width + 3}"/>',
        ]
    braces, labels = [], []
    for part, words in ((placed[:once], "once a call"), (placed[once:], "once an attempt")):
        first, last = part[0][1], part[-1][1] + part[-1][2]
        braces.append(f'    <path d="M{first} 366 V374 H{last} V366"/>')
        labels.append(f'    <text x="{(first + last) // 2}" y="396">{words}</text>')
    return TEMPLATE.format(
        names=", ".join(name.rstrip("=") for name in names),
        boxes="\n".join(boxes),
        arrows="\n".join(arrows),
        braces="\n".join(braces),
        labels="\n".join(labels),
    )


def _fill(name: str) -> str:
    return "#35674a" if name in YOURS else "#3b5b8c"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
