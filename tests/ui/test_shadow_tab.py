"""Shadow answers in a browser: how to have them, their figures, one pair side by side, and how they are forgotten."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from ggufrun.records.shadows import SHADOWS_FILE, Chosen, ShadowPair, ShadowStore
from tests.api.served import Served, served
from tests.routing.shadowed import answer
from tests.ui.browser import Tab, tab
from tests.ui.hostile import Listening, listening, texts
from tests.ui.keyed import only_chatting

pytestmark = pytest.mark.browser
ROUTE = '[routes.team]\nengines = ["fast"]\nshadow = { engine = "big", share = 0.5 }\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "ggufrun.toml").write_text(ROUTE)
    return home


@pytest.fixture(scope="module")
def server(home: Path, tiny_model: Callable[[str], Path]) -> Iterator[Served]:
    models = home.parent / "models"
    models.mkdir(exist_ok=True)
    for name in ("fast", "big"):
        (models / f"{name}.gguf").symlink_to(tiny_model("llama-tiny"))
    with served(f"fast={models / 'fast.gguf'}", home, f"big={models / 'big.gguf'}", page=True) as running:
        yield running


def _open(found: Tab) -> None:
    found.open()
    found.page.get_by_role("tab", name="Side by side", exact=True).click()
    found.page.get_by_role("button", name="Shadow answers").click()


def _kept(home: Path, hostile: Listening) -> ShadowStore:
    """One pair that differs for each hostile text, and one that agrees."""
    store = ShadowStore(home / SHADOWS_FILE)
    fast, big = answer("The quick fox", engine="fast"), answer("The slow fox", engine="big")
    pair = ShadowPair(1.8e9, "team", "d" * 64, 0.7, "text", 1.0, "An old question", fast, fast)
    store.add(replace(pair, shadow=replace(fast, engine="big")))
    for text in texts(hostile.url):
        real, shadow = (
            replace(fast, text=f"{text} quick"),
            replace(big, text=f"{text} slow", tool_calls=((text, text),)),
        )
        store.add(replace(pair, agreement="different", similarity=0.5, question=text, real=real, shadow=shadow))
    return store


def test_shadow_answers_are_looked_at_and_forgotten(browser: Browser, server: Served, home: Path) -> None:
    with listening() as hostile, tab(browser, str(server.client.base_url).rstrip("/")) as found:
        page = found.page
        _open(found)
        summary, pairs, pair = (page.locator(f"#shadow-{part}") for part in ("summary", "pairs", "pair"))
        expect(summary).to_contain_text("big answers 50.0 % of it, too")
        expect(page.locator("#shadow-only")).to_be_hidden()

        store = _kept(home, hostile)
        page.reload()
        page.locator("#ask textarea").wait_for()
        page.get_by_role("tab", name="Side by side", exact=True).click()
        page.get_by_role("button", name="Shadow answers").click()
        expect(summary.locator("tbody tr")).to_contain_text("fast beside big")
        expect(pairs.locator("tr")).to_have_count(20)
        for number in range(3):
            pairs.get_by_role("button", name="Show", exact=False).nth(number).click()
            shown = page.locator(f"[data-pair='{store.listed(Chosen(), 3)[number].id}']")
            expect(shown.locator("mark").first).to_be_visible()
        pairs.get_by_role("button", name="Older").click()
        expect(pairs.get_by_role("button", name="Newest")).to_be_visible()
        page.get_by_label("Only answers that differ").uncheck()
        expect(pairs.get_by_role("button", name="Newest")).to_have_count(0)
        summary.get_by_role("button", name="Show the answers of fast and big").click()
        expect(pairs.locator("tr")).to_have_count(20)
        assert page.evaluate("window.__pwned") is None and not hostile.hits

        summary.get_by_role("button", name="Forget all").click()
        page.locator("dialog.sure").get_by_role("button", name="Forget all").click()
        expect(summary.locator("table")).to_have_count(0)
        expect(pair).to_be_empty()
        assert store.listed(Chosen(), 10) == []
        store.close()


def test_keys_that_may_only_chat_see_none_of_it(browser: Browser, server: Served, home: Path) -> None:
    with only_chatting(browser, str(server.client.base_url).rstrip("/"), home) as found:
        found.page.get_by_role("tab", name="Side by side", exact=True).click()
        found.page.get_by_role("button", name="Shadow answers").click()
        expect(found.page.locator("#shadow-summary")).to_contain_text(re.compile("may chat, not manage"))
