"""A real Chromium that opens pages; without one the tests that need it say that they skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser, through Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page in the browser, with all that went wrong in it and all that it asked the network for."""

    def __init__(self, browser: Any, path: Path | str, at: str = "", **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        self.context = browser.new_context(**options)
        self.tab = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.errors.append(message.text))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(Path(path).as_uri() + at)
        self.tab.wait_for_selector("body[data-ready]", timeout=20_000)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def text(self, selector: str) -> str:
        return str(self.tab.inner_text(selector))

    def look(self, expression: str) -> Any:
        """What an expression of JavaScript gives, seen from within the page."""
        return self.tab.evaluate(expression)

    def close(self) -> None:
        """Nothing may have gone wrong, and nothing but the file itself may have been asked for."""
        self.context.close()
        assert self.errors == []
        assert [url for url in self.requests if not url.startswith("file:")] == []
        assert len(self.requests) == 1


@contextmanager
def opened(browser: Any, path: Path | str, at: str = "", **options: Any) -> Iterator[Opened]:
    """A page, closed again; fails if anything went wrong in it."""
    page = Opened(browser, path, at, **options)
    yield page
    page.close()
