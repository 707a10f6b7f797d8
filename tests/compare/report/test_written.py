"""The files in their folder, and the page in a real browser."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ggufrun.compare.report.json_reading import from_json
from ggufrun.compare.report.written import PICTURES, Written, write_report
from tests.compare.report.reports import full, hostile, unfinished
from tests.ui.browser import chromium

REPORTS = {"full": full(), "hostile": hostile(), "unfinished": unfinished()}


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """Each report once: drawing takes a second."""
    return cache(lambda name: write_report(REPORTS[name], tmp_path_factory.mktemp(name) / "new" / "folder"))


def test_all_files_are_there(write: Callable[[str], Written]) -> None:
    written = write("full")
    names = {path.name for path in written.html.parent.iterdir()}
    assert names == {"report.html", "report.json", "report.csv", *PICTURES}
    assert from_json(written.json.read_bytes()) == full()
    assert [path.name for path in written.pictures] == list(PICTURES)
    assert os.stat(written.html).st_mode & 0o777 == 0o644


def test_an_earlier_report_is_replaced_with_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "pareto.svg").write_text("old")
    (tmp_path / "mine.txt").write_text("kept")
    written = write_report(unfinished(), tmp_path)
    assert written.pictures == ()
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.json", "report.csv", "mine.txt"}
    assert written.html.read_text("utf-8") != "old"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def opened(browser: Browser, file: Path, width: int, wrong: list[str]) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark")
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda sent: None if sent.url == file.as_uri() else wrong.append(sent.url))
    page.goto(file.as_uri())
    return page


@pytest.mark.process
def test_in_a_browser_it_asks_for_nothing_and_sorts(browser: Browser, write: Callable[[str], Written]) -> None:
    wrong: list[str] = []
    page = opened(browser, write("full").html, 1280, wrong)
    rows = page.locator("#table tbody th bdi:first-child")
    first = page.locator("#table tbody tr:first-child th bdi").first
    before = rows.count()
    page.get_by_role("button", name="size", exact=True).click()
    assert first.inner_text() == "IQ1_S"
    page.get_by_role("button", name="size", exact=True).click()
    assert first.inner_text() == "Q8_0"
    page.get_by_role("button", name="KL div.", exact=True).click()
    page.get_by_role("button", name="KL div.", exact=True).click()
    assert first.inner_text() == "Q2_K"
    assert page.locator("#table tbody tr:last-child th").inner_text().startswith("IQ1_S")  # it has no figure
    page.get_by_role("button", name="row", exact=True).click()
    assert first.inner_text() == "Q8_0" and rows.count() == before
    assert not wrong, wrong
    page.close()


@pytest.mark.process
@pytest.mark.parametrize("name", REPORTS)
def test_on_a_phone_nothing_is_wider_than_the_screen(
    browser: Browser, write: Callable[[str], Written], name: str
) -> None:
    wrong: list[str] = []
    page = opened(browser, write(name).html, 390, wrong)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("summary").last.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for svg in page.locator("figure svg").all():
        box = svg.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert not wrong, wrong
    page.close()
