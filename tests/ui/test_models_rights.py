"""The Models tab for those who may not manage models: it says so, and nothing fails."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.api.served import served
from tests.ui.browser import tab

pytestmark = pytest.mark.process


def test_a_key_without_the_admin_scope(browser: Browser, tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    with served(tiny_model("llama-tiny"), tmp_path, page=True) as server:
        (place,) = (tmp_path / "run").glob("*.json")
        headers = {"Authorization": f"Bearer {json.loads(place.read_text())['token']}"}
        home = str(server.client.base_url).rstrip("/")
        keys = [
            httpx.post(f"{home}/ggufrun/v1/keys", json={"name": scope, "scope": scope}, headers=headers).json()["key"]
            for scope in ("chat", "admin")
        ]
        for key, may in zip(keys, (False, True), strict=True):
            with tab(browser, home) as user:
                user.page.goto(f"{home}/login")
                user.wrong.clear()  # the form comes with a 401, which Chromium calls an error
                user.page.get_by_role("textbox").or_(user.page.locator("[name=key]")).first.fill(key)
                user.page.keyboard.press("Enter")
                user.page.locator("#ask textarea").wait_for()
                user.page.get_by_role("tab", name="Models", exact=True).click()
                if may:
                    expect(user.page.locator("#shelf table")).to_be_visible()
                    expect(user.page.locator("#norights")).not_to_contain_text("admin")
                else:
                    expect(user.page.locator("#norights")).to_contain_text("managed with an admin key")
                    expect(user.page.locator("#seek-q")).to_be_hidden()
