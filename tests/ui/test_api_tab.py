"""The API tab in a browser: where the server is, snippets for the model in use, and the last calls."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.api.served import Served, served
from tests.ui.alone import program
from tests.ui.browser import Tab, tab
from tests.ui.keyed import make_key


def test_it_shows_how_to_call_and_what_was_called(user: Tab, demo: Served, tmp_path: Path) -> None:
    demo.chat("Hello", max_tokens=3).raise_for_status()
    user.page.get_by_role("tab", name="API", exact=True).click()
    expect(user.page.locator("#base input, #base textarea")).to_have_value(user.home)
    expect(user.page.locator("#programs")).to_contain_text(f"{user.home}/v1/chat/completions")
    expect(user.page.locator("#programs")).to_contain_text('"model": "demo"')
    expect(user.page.locator("#apikey")).to_contain_text("No key is needed")
    user.page.locator("#programs").get_by_role("tab", name="openai (Python)").click()
    expect(user.page.locator("#programs")).to_contain_text("from openai import OpenAI")

    calls = user.page.locator("#calls tbody tr")
    expect(calls.first).to_contain_text("/v1/chat/completions")
    expect(calls.first).to_contain_text("demo")
    before = calls.count()
    demo.chat("Hello", max_tokens=2).raise_for_status()
    for _ in range(300):  # it is there a moment after its end
        user.page.get_by_role("button", name="Refresh").click()
        user.page.wait_for_timeout(100)
        if calls.count() > before:
            break
    expect(calls).to_have_count(before + 1)

    with user.page.expect_download() as download:
        user.page.get_by_role("button", name="Export CSV").click()
    download.value.save_as(tmp_path / "calls.csv")
    with (tmp_path / "calls.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= before + 1
    assert (rows[0]["model"], rows[0]["completion_tokens"], rows[0]["status"]) == ("demo", "2", "200")


def test_the_snippets_follow_the_settings(user: Tab) -> None:
    """Those too that become known when the tab is open already."""
    page, snippets = user.page, user.page.locator("#programs")
    page.locator("#system textarea").fill("Be brief.")
    page.get_by_role("tab", name="API", exact=True).click()  # it is then that the field is left
    expect(snippets).to_contain_text('"model": "demo"')
    expect(snippets).to_contain_text("Be brief.")


@pytest.mark.process
def test_it_is_said_whether_a_key_is_needed(
    browser: Browser, tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """Of another server, for which the page may have a key that programs have not."""
    home = tmp_path / "server"
    with served(tiny_model("llama-tiny"), home) as server:
        api = ("page", "--api", str(server.client.base_url), "--no-open")
        with program(tmp_path / "page", *api) as page:
            assert "This server asks for no key." in _about_key(browser, page)
        key = make_key(home, "anna")
        with program(tmp_path / "page", *api, GGUFRUN_API_KEY=key) as page:
            about = _about_key(browser, page)
            assert "This server asks for a key" in about and "GGUFRUN_API_KEY" in about


def _about_key(browser: Browser, page: Served) -> str:
    with tab(browser, str(page.client.base_url).rstrip("/")) as user:
        user.open()
        user.page.get_by_role("tab", name="API", exact=True).click()
        expect(user.page.locator("#apikey")).to_contain_text("key")
        return user.page.locator("#apikey").inner_text()
