"""A server with its page, and a browser: one of each for a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.api.served import Served, served
from tests.ui.browser import Tab, chromium, tab


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def demo(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`ggufrun serve demo`, with a data folder of its own."""
    with served("demo", tmp_path_factory.mktemp("home"), page=True) as server:
        yield server


@pytest.fixture
def user(browser: Browser, demo: Served) -> Iterator[Tab]:
    """A browser of a new user, with the page open."""
    with tab(browser, str(demo.client.base_url).rstrip("/")) as opened:
        opened.open()
        yield opened
