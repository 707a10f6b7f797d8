"""Fetching models in the Models tab, and what can be done with what is here."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.hub.faults import Slow
from tests.hub.models import MIB
from tests.ui.browser import tab
from tests.ui.models_tab import (
    HOSTILE,
    REPO,
    SMALL,
    WRONG,
    ModelsTab,
    choose,
    do,
    job,
    models_tab,
    row,
)

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def there(
    browser: Browser,
    tiny_model: Callable[[str], Path],
    shape: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ModelsTab]:
    with models_tab(browser, tmp_path_factory.mktemp("models-tab"), tiny_model("llama-tiny"), shape) as opened:
        yield opened


@pytest.fixture
def models(there: ModelsTab) -> Iterator[Page]:
    yield there.show()
    there.hub.faults.clear()


def test_a_pull_is_stopped_goes_on_and_is_loaded(models: Page, browser: Browser, there: ModelsTab) -> None:
    choose(models, REPO)
    expect(models.locator("#plan h4")).to_contain_text(REPO)
    there.hub.faults.add(Slow(4e5), skip=1, times=None)  # the first is for the header
    do(models.locator("#quants tr", has_text="Q4_K_M"), "Pull")
    going = job(models, SMALL)
    expect(going.locator(".told")).to_have_text(re.compile(r"[\d.]+ of 25\.2 MB, [\d.]+ MB/s, .+ left\."))
    going.get_by_role("button").focus()
    told = going.locator(".told").inner_text()
    expect(going.locator(".told")).not_to_have_text(told)
    expect(going.get_by_role("button")).to_be_focused()  # what is under the keyboard stays, however it goes on
    with tab(browser, there.user.home) as other:  # and whoever else looks, or reloads
        other.open()
        other.page.get_by_role("tab", name="Models", exact=True).click()
        expect(job(other.page, SMALL).locator(".told")).to_contain_text("of 25.2 MB")
        do(job(other.page, SMALL), "Stop")
        expect(job(other.page, SMALL)).to_have_attribute("data-state", "stopped")
    expect(going).to_have_attribute("data-state", "stopped")
    expect(row(models, SMALL)).to_contain_text("here in part")
    came = next(each for each in there.get("local")["data"] if each["name"] == SMALL)["partial"]["bytes"]
    assert came > 0

    there.hub.faults.clear()
    before = there.hub.sent("tiny-Q4_K_M.gguf")
    do(row(models, SMALL), "Go on")
    expect(going).to_have_attribute("data-state", "done")
    assert there.hub.sent("tiny-Q4_K_M.gguf") - before <= 24 * MIB - came + 300_000  # what came is kept
    expect(models.locator("#quants tr", has_text="Q4_K_M")).to_contain_text("here")
    do(going, "Load it")
    expect(row(models, SMALL)).to_contain_text("loaded")
    name = next(
        each["name"] for each in there.admin.get("/ggufrun/v1/models").json()["data"] if "Q4_K_M" in each["file"]
    )
    expect(models.locator("#model input")).to_have_value(re.compile(re.escape(name)))

    do(row(models, SMALL), "Verify")
    check = job(models, "Check of").filter(has_text=SMALL)
    expect(check).to_contain_text("right")
    do(row(models, SMALL), "Delete")
    do(models.get_by_role("dialog"), "Delete")
    refused = models.get_by_test_id("toast-body").filter(has_text="is served now")
    refused.get_by_test_id("toast-close").click()
    do(row(models, SMALL), "Stop serving")
    expect(row(models, SMALL).get_by_role("button").filter(has_text="Load")).to_be_visible()
    do(row(models, SMALL), "Delete")
    expect(models.get_by_role("dialog")).to_contain_text("This frees about 25.2 MB")
    do(models.get_by_role("dialog"), "Keep it")
    expect(row(models, SMALL)).to_be_visible()
    do(row(models, SMALL), "Delete")
    do(models.get_by_role("dialog"), "Delete")
    expect(row(models, SMALL)).to_have_count(0)
    assert SMALL not in [each["name"] for each in there.get("local")["data"]]


def test_a_pull_that_fails_says_why(models: Page) -> None:
    for repo, why in ((HOSTILE, "gated"), (WRONG, "sha256")):
        choose(models, repo)
        do(models.locator("#quants tr", has_text="Q4_K_M"), "Pull")
        failed = job(models, repo)
        expect(failed).to_have_attribute("data-state", "failed")
        expect(failed.locator(".wrong")).to_contain_text(why)
        expect(failed.get_by_role("button")).to_have_text("Try again")
