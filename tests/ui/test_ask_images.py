"""Images on the page, with a model that sees: attached, counted, sent, answered, and shown again."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.talking import answers, chat_of, questions, stored, until_idle
from tests.ui.test_ask import DATA

QUICK = "[defaults]\nmax_tokens = 6\ntemperature = 0.0\nseed = 1\n"


@pytest.fixture(scope="module")
def seeing(tiny_vision: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    (home / "ggufrun.toml").write_text(QUICK)
    with served(tiny_vision / "model.gguf", home, "--context", "1024", page=True) as server:
        yield server


@pytest.fixture
def user(browser: Browser, seeing: Served) -> Iterator[Tab]:
    with tab(browser, str(seeing.client.base_url).rstrip("/")) as opened:
        opened.open()
        expect(opened.page.locator("#context .words")).to_contain_text("of 1,024 tokens")
        yield opened


def said(page: Page) -> int:
    return int(page.locator("#context .words").inner_text().split(" of ")[0].replace(",", ""))


def photo(path: Path, color: str = "red") -> Path:
    Image.new("RGB", (300, 200), color).save(path)
    return path


def usage(server: Served, chat: str) -> dict[str, Any]:
    return dict(stored(server.client, chat)["messages"][-1]["meta"]["usage"])


@pytest.mark.parametrize("how", ["upload", "paste", "drop"])
def test_an_image_is_counted_sent_and_answered(user: Tab, seeing: Served, tmp_path: Path, how: str) -> None:
    page, path = user.page, photo(tmp_path / "photo.png")
    page.locator("#ask textarea").fill("What is it?")
    expect(page.locator("#context .words")).not_to_have_text(re.compile("^0 of"))
    if how == "upload":
        page.locator("#ask input[type=file]").first.set_input_files(path)
    else:
        page.evaluate(DATA, ["photo.png", "image/png", base64.b64encode(path.read_bytes()).decode(), how])
    expect(page.locator("#ask img")).to_be_visible()
    expect(page.locator("#context .file")).to_contain_text("photo.png")
    expect(page.locator("#context .file b")).to_have_text("96 tokens")
    expect(page.locator("#context [role=alert]")).to_have_count(0)
    counted = said(page)
    page.locator("#ask textarea").press("Enter")
    expect(answers(page)).to_have_count(1)
    until_idle(page)
    chat = chat_of(page)
    assert usage(seeing, chat)["prompt_tokens"] == counted > 96
    expect(questions(page).locator("img").first).to_be_visible()


def test_a_question_about_the_same_image_reuses_it(user: Tab, seeing: Served, tmp_path: Path) -> None:
    page = user.page
    page.locator("#ask input[type=file]").first.set_input_files(photo(tmp_path / "photo.png", "blue"))
    page.locator("#ask textarea").fill("What is it?")
    expect(page.locator("#context .file")).to_have_count(1)
    page.locator("#ask textarea").press("Enter")
    expect(answers(page)).to_have_count(1)
    until_idle(page)
    page.locator("#ask textarea").fill("And its color?")
    page.locator("#ask textarea").press("Enter")
    expect(answers(page)).to_have_count(2)
    until_idle(page)
    assert usage(seeing, chat_of(page))["prompt_tokens_details"]["cached_tokens"] > 96


def test_what_cannot_be_read_as_an_image_is_said(user: Tab, tmp_path: Path) -> None:
    page, path = user.page, photo(tmp_path / "photo.png")
    path.write_bytes(path.read_bytes()[:80])
    page.locator("#ask textarea").fill("What is it?")
    page.locator("#ask input[type=file]").first.set_input_files(path)
    expect(page.locator("#context [role=alert]")).to_contain_text("image")


def test_the_model_says_that_it_sees(user: Tab, seeing: Served) -> None:
    assert seeing.client.get("/v1/models").json()["data"][0]["capabilities"]["vision"] is True
    expect(user.page.locator(".facts").first).to_contain_text("sees images")
