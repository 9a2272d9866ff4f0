"""Draws what the benchmarks have written: SVG charts that can be read on light and dark, and a table of ratios.

python benchmarks/charts.py benchmarks/results docs/_static/performance
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path

TABLES = ("call_overhead", "clients", "imports", "reading", "batches")
EMBEDDED = "embedded"
INK, GRID = "#7d8590", "#7d859040"
COLOURS = ("#2f81f7", "#d1741f", "#2da44e")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 340, 70, 36, 20, 74


def decades(values):
    """The powers of ten around some values, as exponents."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def number(value):
    """As people write it: 20 ms, 1,000,000."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def duration(value):
    unit, scale = next(
        (unit, scale)
        for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6))
        if value >= scale * 0.999 or unit == "µs"
    )
    return f"{value / scale:g} {unit}"


def text(x, y, content, anchor="middle", size=12):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{INK}">{escape(content)}</text>'
    )


def line(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def chart(title, x_label, y_label, curves):
    """Both axes are logarithmic: what grows as the work does is a line of slope one."""
    points = [point for curve in curves.values() for point in curve]
    (x_low, x_high), (y_low, y_high) = (decades([point[axis] for point in points]) for axis in (0, 1))

    def place(size, seconds):
        x = LEFT + (math.log10(size) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (math.log10(seconds) - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return x, y

    parts = []
    for exponent in range(x_low, x_high + 1):
        x, y = place(10**exponent, 10**y_low)
        parts += [line(x, TOP, x, y), text(x, y + 18, number(10**exponent))]
    for exponent in range(y_low, y_high + 1):
        x, y = place(10**x_low, 10**exponent)
        parts += [line(x, y, WIDTH - RIGHT, y), text(x - 8, y + 4, duration(10**exponent), "end")]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, f"{y_label} over {x_label}"))
    step = (WIDTH - LEFT - RIGHT) / len(curves)
    for index, (name, curve) in enumerate(curves.items()):
        colour, placed = COLOURS[index], [place(*point) for point in curve]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        parts.append(f'<rect x="{LEFT + index * step:.1f}" y="{HEIGHT - 22}" width="12" height="4" fill="{colour}"/>')
        parts.append(text(LEFT + index * step + 18, HEIGHT - 16, name, "start"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" role="img">'
    )
    return "\n".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>", ""])


def asked(target, median):
    if target is None:
        return "", ""
    side, bound = target
    met = median <= bound if side == "most" else median >= bound
    return f"at {side} {bound:g}", "yes" if met else "**no**"


def table(results, names=TABLES):
    """Every ratio of the results: median, spread, target, and whether it is met."""
    rows = ["| | ratio | spread | target | met |", "|---|---|---|---|---|"]
    versions = {}
    for name in names:
        path = results / f"{name}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        versions |= content["versions"]
        for each in content["measured"]:
            if "target" not in each or each.get("title", "").startswith("CPU"):
                continue
            spread = f"{min(each['values']):.3g} to {max(each['values']):.3g}"
            figure = f"{each['median']:.3g} {each.get('unit', '')}".rstrip()
            rows.append(
                f"| {each['name']} | {figure} | {spread} | {' | '.join(asked(each['target'], each['median']))} |"
            )
    measured = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return "\n".join([*rows, "", f"Measured with {measured}.", ""])


def rates(content):
    """What each store does in a second, one a line."""
    names = ("a single write", "a row of a batch of 100", "newest 100 of an agent")
    found = {}
    for each in content["measured"]:
        what, _, way = each["name"].partition(", ")
        if what in names and "unit" in each and "target" not in each:
            found.setdefault(way, {})[what] = 1e6 / each["median"]
    rows = [
        "| | single writes a second | rows a second, in batches of 100 | newest 100 of an agent, a second |",
        "|---|---|---|---|",
    ]
    rows += [f"| {way} | {' | '.join(f'{per[name]:,.0f}' for name in names)} |" for way, per in found.items()]
    return "\n".join([*rows, "", ""])


def main():
    results, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for each in json.loads((results / "growth.json").read_text(encoding="utf-8"))["charts"]:
        drawn = chart(each["name"], each["x"], each["y"], each["curves"])
        (folder / f"{each['name']}.svg").write_text(drawn, encoding="utf-8")
    (folder / "ratios.inc").write_text(table(results), encoding="utf-8")
    embedded = json.loads((results / f"{EMBEDDED}.json").read_text(encoding="utf-8"))
    (folder / f"{EMBEDDED}.inc").write_text(rates(embedded) + table(results, (EMBEDDED,)), encoding="utf-8")


if __name__ == "__main__":
    main()
