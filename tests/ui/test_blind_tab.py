"""The blind vote in a browser: no names before the vote, keys and buttons, the running interval, and taking it back."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ggufrun.records.chat_database import CHATS_FILE
from tests.api.served import Served, served
from tests.ui.browser import tab

VOTES = "/ggufrun/v1/blind/votes"
VOTE = ("left", "tie", "right")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[[str], Path]) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    kinds = {"alpha": "llama-tiny", "beta": "spm-mistral-v3", "twin": "llama-tiny"}
    paths = [str(shutil.copy(tiny_model(kind), folder / f"{name}.gguf")) for name, kind in kinds.items()]
    with served(paths[0], home, *paths[1:], page=True) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Served) -> Iterator[Page]:
    """A new user, with both models chosen and the blind vote switched on."""
    with tab(browser, str(server.client.base_url).rstrip("/")) as found:
        found.open()
        found.page.get_by_role("tab", name="Side by side", exact=True).click()
        expect(_model(found.page, 2)).not_to_have_value("")
        expect(found.page.locator("#blind-left")).to_be_hidden()
        found.page.locator("#blind-on input").check()
        expect(found.page.locator("#blind-left")).to_be_disabled()
        yield found.page


def _model(page: Page, column: int) -> Locator:
    return page.locator(f"#beside-{column} .beside-model input")


def _ask(page: Page, prompt: str, tokens: int = 12) -> None:
    page.locator("#beside-longest input").fill(str(tokens))
    page.locator("#beside-prompt textarea").fill(prompt)
    page.locator("#beside-run").click()
    expect(page.locator("#blind-veil")).to_be_attached()


def _over(page: Page) -> None:
    """Both have ended, and nothing says whose they are."""
    for column in (1, 2):
        expect(page.locator(f"#beside-{column} .stage")).to_have_text("Done")
    for vote in VOTE:
        expect(page.locator(f"#blind-{vote}")).to_be_enabled()
    for column in (1, 2):
        expect(_model(page, column)).to_be_hidden()
        expect(page.locator(f"#beside-{column} .figures")).to_have_count(0)
    expect(page.locator("#beside-copy")).to_be_hidden()
    assert "tokens/s" not in (page.locator("#beside-markdown textarea").input_value())


def _votes(server: Served) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get(VOTES).raise_for_status().json()
    return found


def test_votes_are_blind_and_counted(page: Page, server: Served) -> None:
    said, wins = page.locator("#blind-said"), {"alpha": 0, "beta": 0}
    for number, press in enumerate(("button", "key", "key"), 1):
        _ask(page, f"Count to {number}.")
        _over(page)
        expect(said).to_contain_text("Which answer is better?")
        if press == "button":
            page.locator("#blind-left").click()
        else:
            page.keyboard.press("ArrowLeft")
        expect(said).to_contain_text(re.compile("Left was (alpha|beta), right was (alpha|beta)"))
        left = re.search("Left was (alpha|beta)", said.inner_text())
        assert left is not None
        wins[left[1]] += 1
        expect(page.locator("#blind-veil")).to_have_count(0)
        expect(_model(page, 1)).to_have_value(re.compile(f"^{left[1]}"))  # each column says whose answer it has
        expect(_model(page, 1)).to_be_visible()
        expect(page.locator("#beside-1 .figures")).to_contain_text("tokens/s")
        expect(page.locator("#blind-left")).to_be_disabled()
        votes = _votes(server)
        (pair,) = votes["pairs"]
        assert (pair["votes_a"], pair["votes_b"]) == (wins["alpha"], wins["beta"])
        assert votes["data"][0]["prompt"] == f"Count to {number}."
        ahead = max(wins, key=wins.__getitem__)
        share = f"{max(wins.values()) / number * 100:.0f}"
        expect(said).to_contain_text(re.compile(rf"{ahead} wins {share} % \(\d+ to \d+ %\) of {number} decided vote"))

    page.locator("#blind-undo").click()
    expect(said).to_contain_text("of 2 decided votes")
    expect(page.locator("#blind-undo")).to_be_disabled()
    assert _votes(server)["pairs"][0]["decided"] == 2

    _ask(page, "Count again.")
    _over(page)
    page.keyboard.press("ArrowDown")  # whoever reads on votes for nobody
    expect(page.locator("#blind-veil")).to_be_attached()
    page.keyboard.press("t")
    expect(said).to_contain_text("1 tie")


def test_names_without_a_vote(page: Page, server: Served) -> None:
    before = _votes(server)
    _ask(page, "Count.")
    _over(page)
    page.locator("#blind-reveal").click()
    expect(page.locator("#blind-said")).to_contain_text("Left was")
    expect(page.locator("#beside-2 .figures")).to_contain_text("tokens/s")
    expect(page.locator("#blind-right")).to_be_disabled()
    _ask(page, "Count once more.")
    _over(page)
    page.locator("#blind-on input").uncheck()  # who switches it off wants to know, too
    expect(page.locator("#blind-veil")).to_have_count(0)
    expect(_model(page, 1)).to_be_visible()
    assert _votes(server) == before


def test_the_same_answers_are_not_voted_on(page: Page) -> None:
    page.locator("#beside-greedy input").check()
    _model(page, 2).click()
    page.locator("#beside-2").get_by_role("option", name=re.compile("^twin")).click()
    _ask(page, "Count.")
    expect(page.locator("#blind-said")).to_contain_text("nothing to vote on")
    expect(page.locator("#blind-tie")).to_be_disabled()
    page.locator("#blind-reveal").click()
    expect(page.locator("#blind-said")).to_contain_text("Left was")


def test_a_vote_while_they_write(page: Page, server: Served) -> None:
    decided = sum(each["decided"] for each in _votes(server)["pairs"])
    _ask(page, "Go on and on.", 12_000)
    expect(page.locator("#blind-left")).to_be_enabled()
    page.locator("#beside-prompt textarea").focus()
    page.keyboard.press("ArrowRight")  # where somebody writes, that is no vote
    expect(page.locator("#blind-veil")).to_be_attached()
    page.locator("#blind-right").click()
    expect(page.locator("#blind-said")).to_contain_text("Left was")
    expect(page.locator("#beside-stop")).to_be_enabled()
    page.locator("#beside-stop").click()
    expect(page.locator("#beside-run")).to_be_enabled()
    expect(page.locator("#beside-1 .stage")).to_have_text(re.compile("Stopped|Done"))
    assert sum(each["decided"] for each in _votes(server)["pairs"]) == decided + 1


def test_a_vote_that_is_late_tells_nothing_of_the_next_race(page: Page, server: Served, home: Path) -> None:
    decided = sum(each["decided"] for each in _votes(server)["pairs"])
    _ask(page, "Count.")
    _over(page)
    with closing(sqlite3.connect(home / CHATS_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the vote waits
        with page.expect_request("**/run/predict") as voting:
            page.locator("#blind-left").click()
        _ask(page, "Go on and on.", 12_000)
        expect(page.locator("#beside-stop")).to_be_enabled()
        other.execute("ROLLBACK")
    told = voting.value.response()
    assert told is not None and not re.search("alpha|beta", told.text())
    expect(page.locator("#blind-veil")).to_be_attached()
    expect(page.locator("#blind-undo")).to_be_disabled()
    assert sum(each["decided"] for each in _votes(server)["pairs"]) == decided + 1
    page.locator("#beside-stop").click()
    expect(page.locator("#beside-run")).to_be_enabled()


def test_two_different_models_are_wanted(page: Page) -> None:
    page.locator("#beside-prompt textarea").fill("Count.")
    page.locator("#beside-add").click()
    expect(page.locator("#beside-3")).to_be_visible()
    _model(page, 3).click()
    page.locator("#beside-3").get_by_role("option").first.click()
    page.locator("#beside-run").click()
    expect(page.get_by_text("remove the other columns")).to_be_visible()
    expect(page.locator("#beside-run")).to_be_enabled()
