"""Chromium as the page's tests drive it: the system's own, which talks to nobody but the page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Frame, Page, Request, expect, sync_playwright

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS: Final = 45_000
_FLAGS: Final = [
    "--headless",
    "--no-sandbox",  # containers have no place for one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """For a module: while it is open, no test of asyncio can run in this thread."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine; Debian, Ubuntu: apt-get install chromium fonts-dejavu-core")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """One user's browser. What it did wrong is looked at in the end."""

    page: Page
    home: str
    pages: int = 0  # that it has shown: a reload is one more
    wrong: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        """Returns when one can type."""
        self.page.goto(self.home + path)
        self.page.locator("#ask textarea").wait_for()

    def check(self) -> None:
        # Whoever leaves a page cuts its streams, and Gradio says so; or it raises its 404 within the reply, whose end
        # is missing then.
        left = (
            *("BodyStreamBuffer was aborted", "signal is aborted", "Connection errored out", "Unexpected error 404"),
            *("ERR_INCOMPLETE_CHUNKED_ENCODING", "TypeError: network error"),
        )
        cut = left if self.pages > 1 else ()
        wrong = [each for each in self.wrong if not any(words in each for words in cut)]
        assert not wrong, wrong
        assert not self.foreign, self.foreign


@contextmanager
def tab(browser: Browser, home: str, **context: object) -> Iterator[Tab]:
    """A user of their own: no cookies. In the end, no error and no request to another host may have been."""
    opened: BrowserContext = browser.new_context(**context)  # type: ignore[arg-type]
    opened.set_default_timeout(WAIT_MS)
    found = Tab(opened.new_page(), home)

    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.wrong.append(f"{message.text} ({message.location.get('url')})")

    def request(sent: Request) -> None:
        if urlsplit(sent.url).scheme not in ("data", "blob") and not sent.url.startswith(home):
            found.foreign.append(sent.url)

    def shown(frame: Frame) -> None:
        found.pages += frame == found.page.main_frame

    found.page.on("framenavigated", shown)
    found.page.on("console", console)
    found.page.on("pageerror", lambda error: found.wrong.append(str(error)))
    found.page.on("request", request)
    try:
        yield found
        found.check()
    finally:
        opened.close()
