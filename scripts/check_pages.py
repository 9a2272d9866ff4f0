"""Open every page of the built documentation in headless Chromium: nothing is cut, and every text has contrast.

python scripts/check_pages.py docs/_build

Each page is measured at 390 and 1280 px, light and dark. Prints each fault and exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headless_site import Page, open_site

WIDTHS = (390, 1280)
HEIGHT = 900
SCHEMES = ("light", "dark")
MOST_SCREENS = 15
"""How long a page of the reference may be at 1280 px."""

# What is wider than its place, unless it scrolls there; what hides its own text; and texts with too little contrast.
MEASURE = """
() => {
  const faults = [];
  const name = element => element.tagName.toLowerCase() + [...element.classList].map(c => "." + c).join("");
  const words = text => JSON.stringify(text.trim().replace(/\\s+/g, " ").slice(0, 40));
  const scrolls = element => {
    for (let e = element.parentElement; e; e = e.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true;
    return false;
  };
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) faults.push(`the page is ${root.scrollWidth} px wide`);
  for (const element of document.querySelectorAll("article *, footer *")) {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1 || style.visibility === "hidden" || element.closest("svg, mjx-container")) continue;
    if (box.right > innerWidth + 1 && !scrolls(element))
      faults.push(`${name(element)} ${words(element.textContent)} ends at ${Math.round(box.right)} px`);
    const hides = ["hidden", "clip"].includes(style.overflowX) && element.textContent.trim();
    if (hides && element.scrollWidth > element.clientWidth + 1)
      faults.push(`${name(element)} ${words(element.textContent)} hides ${element.scrollWidth - element.clientWidth} px`);
  }

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const background = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
    const canvasColor = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    return layers.reverse().reduce((below, layer) => over(layer, below), canvasColor);
  };
  const luminance = color => {
    const [r, g, b] = color.map(c => c / 255).map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const seen = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data;
    const element = texts.currentNode.parentElement;
    if (!text.trim() || element.closest("script, style, noscript, svg")) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const style = getComputedStyle(element);
    const ground = background(element);
    const ink = rgba(style.color);
    for (let e = element; e; e = e.parentElement) ink[3] *= Number(getComputedStyle(e).opacity);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const found = ratio(over(ink, ground), ground);
    const key = [name(element), style.color, ground].join();
    if (found < needed && !seen.has(key)) {
      seen.add(key);
      faults.push(`${name(element)} ${words(text)} has contrast ${found.toFixed(2)}, not ${needed}`);
    }
  }
  return faults;
}
"""

PLANTED = """<!doctype html><body style="margin: 0; background: #fff"><article>
<pre style="width: 3000px">wide</pre>
<p style="width: 50px; overflow: hidden; white-space: nowrap">a sentence that is cut in its middle</p>
<p style="color: #999">pale</p>
<div style="overflow-x: auto"><pre style="width: 3000px">scrolls</pre></div>
<p style="color: #595959">readable</p>
</article>"""
PLANTED_FAULTS = ("the page is", "ends at 3000 px", "hides", "has contrast 2.8")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong on a page, and where it was seen."""

    page: str
    view: str
    text: str


def faults_of(page: Page, path: str) -> Iterator[Fault]:
    """What is wrong with the page at this path of the site."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.open(path)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            for text in page.evaluate(MEASURE):
                yield Fault(path, f"{width} px, {scheme}", text)
    height = page.evaluate("document.scrollingElement.scrollHeight")
    if path.startswith("reference/") and height > MOST_SCREENS * HEIGHT:
        yield Fault(path, f"{WIDTHS[-1]} px", f"is {height / HEIGHT:.1f} screens long, at most {MOST_SCREENS}")


def check_the_check(page: Page) -> None:
    """Raises `AssertionError` unless the faults of a page that has four are found, and no others."""
    page.set_viewport_size({"width": WIDTHS[-1], "height": HEIGHT})
    page.set_content(PLANTED)
    found = page.evaluate(MEASURE)
    missed = [planted for planted in PLANTED_FAULTS if not any(planted in text for text in found)]
    if missed or len(found) != len(PLANTED_FAULTS):
        raise AssertionError(f"of the planted faults {missed} were not found; found: {found}")


def main() -> int:
    """Check the pages of a site, all of them unless some are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, help="where Sphinx wrote the pages")
    parser.add_argument("pages", nargs="*", help="paths of pages, as reference/client.html; all of them otherwise")
    arguments = parser.parse_args()
    paths = arguments.pages or sorted(
        page.relative_to(arguments.site).as_posix()
        for page in arguments.site.rglob("*.html")
        if "_static" not in page.parts
    )
    faults: dict[tuple[str, str], list[str]] = {}
    with open_site(arguments.site) as page:
        check_the_check(page)
        for path in paths:
            for fault in faults_of(page, path):
                faults.setdefault((fault.page, fault.text), []).append(fault.view)
    for (path, text), views in faults.items():
        print(f"{path} ({'; '.join(views)}): {text}")
    print(f"{len(paths)} pages, {len(faults)} faults")
    return 1 if faults or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
