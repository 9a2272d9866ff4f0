"""Photograph the page of `memtrace-sdk view` with the sample conversation: python scripts/photograph_view.py.

It becomes docs/_static/view.png and docs/_static/view-dark.png.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import playwright.sync_api
from headless_site import launch_chromium

STATIC = Path(__file__).resolve().parents[1] / "docs" / "_static"
QUESTION = "when does the train leave on Friday?"
PICTURES = {"light": "view.png", "dark": "view-dark.png"}


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/sample.db"
        program = [sys.executable, "-m", "memtrace"]
        demo = [*program, "demo", "--conversation", "sample", "--store", store]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)
        view = subprocess.Popen([*program, "view", "--base-url", store, "--json"], stdout=subprocess.PIPE, text=True)
        try:
            photograph(json.loads(view.stdout.readline() if view.stdout else "")["url"])
        finally:
            view.terminate()
            view.wait()


def photograph(url: str) -> None:
    """Take one picture of the prompt for a question in each colour scheme."""
    base = url.partition("/?")[0]
    with playwright.sync_api.sync_playwright() as browsers:
        browser = launch_chromium(browsers)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(url)
        page.goto(f"{base}/prompt?{urlencode({'q': QUESTION, 'budget': 400})}")
        # the name of a temporary folder says nothing to a reader
        page.evaluate("document.querySelector('.source').textContent = 'sqlite:///sample.db'")
        for scheme, name in PICTURES.items():
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
            page.screenshot(path=STATIC / name)
        browser.close()


if __name__ == "__main__":
    main()
