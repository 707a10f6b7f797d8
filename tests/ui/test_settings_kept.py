"""What of the settings outlives the page and the server, and what a key that may only chat sees of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.served import Served, served
from tests.ui.browser import tab
from tests.ui.keyed import make_key
from tests.ui.talking import opened, quick, stored

pytestmark = pytest.mark.process
KEPT: Final[dict[str, Any]] = {
    "system": "Answer in one word.",
    "sampling": {"max_tokens": 8, "temperature": 0.5, "stop": ["\n\n"]},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def address(server: Served) -> str:
    return str(server.client.base_url).rstrip("/")


def field(page: Page, name: str) -> Any:
    return page.locator(f"#sampling [name={name}]")


def until_kept(page: Page, server: Served, chat: str) -> None:
    for _ in range(600):
        if stored(server.client, chat)["settings"] == KEPT:
            return
        page.wait_for_timeout(50)
    raise AssertionError(stored(server.client, chat)["settings"])


def filled(page: Page) -> None:
    expect(page.locator("#system textarea")).to_have_value("Answer in one word.")
    page.locator("#sampling summary").click()
    for name, text in (("temperature", "0.5"), ("max_tokens", "8"), ("stop", "\\n\\n"), ("top_k", "")):
        expect(field(page, name)).to_have_value(text)


def test_settings_outlive_page_and_server(browser: Browser, tiny_model: Callable[[str], Path], home: Path) -> None:
    tiny = tiny_model("llama-tiny")
    with served(tiny, home, page=True) as server:
        chat = quick(server.client)
        with tab(browser, address(server)) as user:
            page = opened(user, chat)
            expect(field(page, "max_tokens")).to_have_value("8")  # its settings are there
            page.locator("#system textarea").fill("Answer in one word.")
            page.locator("#sampling summary").click()
            for name, text in (("temperature", "0.5"), ("stop", "\\n\\n")):
                field(page, name).fill(text)
                field(page, name).press("Tab")
            until_kept(page, server, chat)
        with tab(browser, address(server)) as user:  # another browser, which has set nothing
            filled(opened(user, chat))
    with served(tiny, home, page=True) as server, tab(browser, address(server)) as user:
        filled(opened(user, chat))


def test_a_key_that_may_only_chat_chooses_and_does_not_load(
    browser: Browser, tiny_model: Callable[[str], Path], home: Path
) -> None:
    with served(tiny_model("llama-tiny"), home, page=True) as server:
        keys = {"chat": make_key(home, "guest"), "admin": make_key(home, "boss", "admin")}
        for scope, key in keys.items():
            with tab(browser, address(server)) as user:
                page = user.page
                page.goto(f"{address(server)}/login")
                user.wrong.clear()  # the form comes with a 401, which Chromium calls an error
                page.locator("[name=key]").fill(key)
                page.keyboard.press("Enter")
                page.locator("#ask textarea").wait_for()
                expect(page.locator("#model input")).to_have_value(re.compile("^llama-tiny"))
                expect(page.locator("#modelstate")).to_contain_text("context")
                expect(page.locator("#unload")).to_have_count(1 if scope == "admin" else 0)
                expect(page.locator("#load")).to_have_count(0)
