"""A built site on a loopback port, and a page of headless Chromium that shows it."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import playwright.sync_api

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


class Page:
    """A page of the browser, on one site."""

    def __init__(self, page: playwright.sync_api.Page, address: str) -> None:
        self._page = page
        self._address = address
        self.set_viewport_size = page.set_viewport_size
        self.emulate_media = page.emulate_media
        self.set_content = page.set_content
        self.screenshot = page.screenshot

    def open(self, path: str) -> None:
        """Open a path of the site, and wait until it has loaded."""
        self._page.goto(f"{self._address}/{path}", wait_until="load")

    def evaluate(self, script: str, argument: object = None) -> Any:
        """The value of a script in the page."""
        return self._page.evaluate(script, argument)

    def wait_for(self, script: str) -> None:
        """Wait until a script is true."""
        self._page.wait_for_function(script)


@contextmanager
def open_site(folder: Path) -> Iterator[Page]:
    """Serve the folder, and open a page in Chromium: the machine's, or the one that Playwright brought."""
    handler = partial(_Quiet, directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as server, playwright.sync_api.sync_playwright() as browsers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = launch_chromium(browsers)
        try:
            yield Page(browser.new_page(), f"http://127.0.0.1:{server.server_port}")
        finally:
            browser.close()
            server.shutdown()


def launch_chromium(browsers: playwright.sync_api.Playwright) -> playwright.sync_api.Browser:
    """Start Chromium: the machine's, or the one that Playwright brought."""
    return browsers.chromium.launch(args=list(_ARGUMENTS), **_executable())


def _executable() -> Mapping[str, Any]:
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    return {} if found is None else {"executable_path": found}


class _Server(ThreadingHTTPServer):
    """Shows no failed request whose reader has left for the next page."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show what is no broken connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files, and writes no line for each."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""
