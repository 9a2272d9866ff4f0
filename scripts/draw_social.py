"""Draw the picture that a chat or a search engine shows of a link: python scripts/draw_social.py.

It becomes docs/_static/social.png.
"""

from __future__ import annotations

import base64
from pathlib import Path

from headless_site import open_site

STATIC = Path(__file__).resolve().parents[1] / "docs" / "_static"

SOCIAL = """<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; width: 1200px; height: 630px; background: #27364b; color: #fff;
         font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
  main { padding: 110px 90px; }
  img { width: 520px; display: block; margin-left: -40px; }
  p { font-size: 46px; line-height: 1.35; margin: 60px 0 0; }
</style><main><img alt="" src="data:image/svg+xml;base64,%s"><p>A memory for AI agents.<br>Python, sync and async.</p></main>"""


def main() -> None:
    """Write the picture."""
    logo = base64.b64encode((STATIC / "logo.svg").read_bytes()).decode()
    with open_site(STATIC) as page:
        page.set_viewport_size({"width": 1200, "height": 630})
        page.set_content(SOCIAL % logo)
        page.screenshot(path=STATIC / "social.png")


if __name__ == "__main__":
    main()
