"""A server with keys, for the tests of who may see its page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser

from tests.program import at_home
from tests.ui.browser import Tab, tab
from tests.warm_program import run_warm


def make_key(home: Path, name: str, scope: Literal["chat", "admin"] = "chat") -> str:
    """By another program than the server: a running one knows at once."""
    done = run_warm("keys", "add", name, "--scope", scope, environment=at_home(home))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def drop_key(home: Path, name: str) -> None:
    done = run_warm("keys", "revoke", name, environment=at_home(home))
    assert done.returncode == 0, done.stderr


def log_in(client: httpx.Client, key: str, **headers: str) -> httpx.Response:
    return client.post("/login", data={"key": key}, headers=headers, follow_redirects=False)


@contextmanager
def only_chatting(browser: Browser, base: str, home: Path) -> Iterator[Tab]:
    """A tab of somebody whose key may chat and not manage. The server has no other key, and none afterwards."""
    key = make_key(home, "ann")
    try:
        with tab(browser, base) as found:
            found.page.goto(f"{base}/login")
            found.page.locator("input[name=key]").fill(key)
            found.page.keyboard.press("Enter")
            found.page.locator("#ask textarea").wait_for()
            yield found
    finally:
        run_warm("keys", "clear", environment=at_home(home))
