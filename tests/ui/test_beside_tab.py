"""The tab Side by side in a browser: columns that stream, their figures and differences, and what ends them."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.api.served import Served, served
from tests.ui.browser import Tab, tab

# How often the answers change, and whether both were ever about to.
WATCH = """() => {
  const seen = window.seen = { times: [], both: false };
  const stages = () => [...document.querySelectorAll("#beside-1 .stage, #beside-2 .stage")];
  new MutationObserver(() => {
    const now = performance.now();
    if (now - (seen.times.at(-1) ?? -1e9) > 20) seen.times.push(now);
    if (stages().filter((each) => each.classList.contains("answering")).length === 2) seen.both = true;
  }).observe(document.querySelector("#beside-columns"), { subtree: true, childList: true, characterData: true });
}"""

STACKED = """() => {
  const [first, second] = [1, 2].map((column) => document.getElementById(`beside-${column}`).getBoundingClientRect());
  return second.top >= first.bottom && first.width > 300 && first.right <= 390 && first.left === second.left;
}"""


RUNS = "<img src=x onerror=window.__pwned=1><script>window.__pwned=2</script><svg onload=window.__pwned=3>"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[[str], Path]) -> list[str]:
    """`alpha` and `twin` are one model under two names."""
    folder = tmp_path_factory.mktemp("models")
    kinds = {"alpha": "llama-tiny", "beta": "spm-mistral-v3", "twin": "llama-tiny"}
    return [str(shutil.copy(tiny_model(kind), folder / f"{name}.gguf")) for name, kind in kinds.items()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(models: list[str], home: Path) -> Iterator[Served]:
    with served(models[0], home, *models[1:], page=True) as running:
        yield running


@pytest.fixture
def admin(server: Served, home: Path) -> Iterator[httpx.Client]:
    """As this machine's user manages it."""
    (place,) = (home / "run").glob("*.json")
    headers = {"Authorization": f"Bearer {json.loads(place.read_text())['token']}"}
    with httpx.Client(base_url=server.client.base_url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def page(browser: Browser, server: Served) -> Iterator[Page]:
    with opened(browser, server) as found:
        yield found.page


@contextmanager
def opened(browser: Browser, server: Served) -> Iterator[Tab]:
    """A new user, with the tab open and its first two columns filled."""
    with tab(browser, str(server.client.base_url).rstrip("/")) as found:
        found.open()
        found.page.get_by_role("tab", name="Side by side", exact=True).click()
        expect(_model(found.page, 2)).not_to_have_value("")
        yield found


def _model(page: Page, column: int) -> Locator:
    return page.locator(f"#beside-{column} .beside-model input")


def _choose(page: Page, column: int, name: str) -> None:
    _model(page, column).click()
    page.locator(f"#beside-{column}").get_by_role("option", name=re.compile(f"^{name}")).click()


def _ask(page: Page, prompt: str, tokens: int) -> None:
    page.locator("#beside-longest input").fill(str(tokens))
    page.locator("#beside-prompt textarea").fill(prompt)
    page.locator("#beside-run").click()


def _stages(page: Page, *expected: str) -> None:
    for column, stage in enumerate(expected, 1):
        expect(page.locator(f"#beside-{column} .stage")).to_have_text(re.compile(stage))


def test_answers_stream_beside_each_other_and_are_compared(page: Page) -> None:
    expect(_model(page, 1)).to_have_value("alpha · F16")
    page.evaluate(WATCH)
    _ask(page, "Count to ten.", 500)
    _stages(page, "Done", "Done")
    seen = page.evaluate("window.seen")
    assert seen["both"]
    assert len(seen["times"]) > 4
    assert len(seen["times"]) <= 10 * (seen["times"][-1] - seen["times"][0]) / 1000 + 25  # not once a token
    expect(page.locator("#beside-way")).to_contain_text("At once: they need")
    for column in (1, 2):
        figures = page.locator(f"#beside-{column} .figures")
        expect(figures).to_contain_text(re.compile(r"\d tokens/s .* TTFT \d+ tokens .* memory .* s to load"))
    expect(page.locator("#beside-run")).to_be_enabled()
    expect(page.locator("#beside-stop")).to_be_disabled()

    words = page.locator("#beside-2 .words")
    expect(words).to_be_hidden()
    page.get_by_label("Differences").click()
    expect(words.locator("mark").first).to_be_visible()
    expect(words.locator("del").first).to_be_visible()
    expect(page.locator("#beside-2 .beside-words").first).to_contain_text("similar")
    expect(page.locator("#beside-2 .md")).to_be_hidden()
    page.locator("#beside-reference input").click()
    page.get_by_role("option", name="beside column 2").click()
    expect(page.locator("#beside-2 .beside-words").first).to_contain_text("compared with this one")
    expect(page.locator("#beside-1 .words mark").first).to_be_visible()

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#beside-copy").click()
    expect(page.locator("#beside-copy[data-copied]")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("# Side by side\n\n> Count to ten.\n\n| model | tokens/s |")
    assert "\n## alpha\n" in copied


def test_more_columns_and_the_same_words(page: Page) -> None:
    page.locator("#beside-add").click()
    expect(page.locator("#beside-3")).to_be_visible()
    page.locator("#beside-add").click()
    expect(page.locator("#beside-add")).to_be_disabled()
    page.locator("#beside-remove").click()
    expect(page.locator("#beside-4")).to_be_hidden()
    expect(_model(page, 3)).to_have_value("twin · F16")
    page.locator("#beside-apart input").check()
    _ask(page, "Count.", 30)
    _stages(page, "Done", "Done", "Done")
    expect(page.locator("#beside-way")).to_contain_text("One after the other, as you wished")
    page.get_by_label("Differences").click()
    expect(page.locator("#beside-3 .beside-words").first).to_contain_text("Word for word the same.")


def test_stop_and_leaving_end_all_answers(browser: Browser, server: Served) -> None:
    with opened(browser, server) as found:
        for column in (1, 2):
            _choose(found.page, column, "beta")  # of its 32,768 tokens one is an end
        _ask(found.page, "Go on and on.", 12_000)
        _stages(found.page, "Answers", "Answers")
        expect(found.page.locator("#beside-run")).to_be_disabled()
        found.page.locator("#beside-stop").click()
        _stages(found.page, "Stopped", "Stopped")
        expect(found.page.locator("#beside-1 .md")).not_to_be_empty()
        expect(found.page.locator("#beside-run")).to_be_enabled()
        _idle(server)
        _ask(found.page, "Go on and on.", 12_000)
        _stages(found.page, "Answers", "Answers")
    _idle(server)


def test_a_column_that_fails_says_why_and_the_others_go_on(page: Page, admin: httpx.Client, models: list[str]) -> None:
    page.locator("#beside-run").click()
    expect(page.get_by_text("Write a prompt first.")).to_be_visible()
    expect(page.locator("#beside-run")).to_be_enabled()
    _choose(page, 2, "twin")
    admin.delete("/ggufrun/v1/models/twin").raise_for_status()
    _ask(page, "Count.", 20)
    _stages(page, "Done", "Failed: Invalid model: twin")
    page.get_by_label("Differences").click()
    expect(page.locator("#beside-2 .beside-words").first).to_contain_text("no two answers to compare")
    admin.post("/ggufrun/v1/models", json={"spec": models[2]}).raise_for_status()


def test_what_lies_here_is_served_when_it_is_chosen(page: Page, demo_path: Path) -> None:
    def queued(sent: Request) -> bool:
        return "/queue/join" in sent.url and "here: demo" in (sent.post_data or "")

    with page.expect_request(queued):  # what is changed beside the queue tells the other parts of the page nothing
        _choose(page, 2, "demo")
    expect(_model(page, 2)).to_have_value("demo · Q4_1")
    _ask(page, "Say hello.", 5)
    _stages(page, "Done", "Done")


def test_what_models_write_does_not_run(page: Page) -> None:
    """They are made to write it, by a schema that allows nothing else."""
    texts = [f"{number} {RUNS}" for number in ("one", "two", "three", "four")]
    page.get_by_role("tab", name="Chat", exact=True).click()
    page.locator("#json .label-wrap").first.click()
    page.locator("#schema .cm-content").fill(json.dumps({"enum": texts}))
    expect(page.locator("#schemasaid")).to_contain_text("In force.")
    page.get_by_role("tab", name="Side by side", exact=True).click()
    _ask(page, "Write it.", 200)
    _stages(page, "Done", "Done")
    expect(page.locator("#beside-2 .md")).to_contain_text('"')
    page.get_by_label("Differences").click()
    for column in (1, 2):
        expect(page.locator(f"#beside-{column} .words")).to_contain_text("<img src=x onerror=window.__pwned=1>")
        expect(page.locator(f"#beside-{column} .words")).to_contain_text("<script>window.__pwned=2</script>")
    assert page.locator("#beside-columns").locator("img, svg[onload], script").count() == 0
    assert page.evaluate("window.__pwned") is None


def test_columns_are_stacked_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(STACKED)


def test_a_server_that_keeps_one_model_has_them_one_after_the_other(
    browser: Browser, models: list[str], tmp_path: Path
) -> None:
    small = served(models[0], tmp_path / "home", models[1], "--max-loaded", "1", page=True)
    with small as server, opened(browser, server) as found:
        _ask(found.page, "Count.", 20)
        _stages(found.page, "Done", "Done")
        expect(found.page.locator("#beside-way")).to_contain_text("the server has unloaded alpha to make room")


def _idle(server: Served) -> None:
    end = time.monotonic() + 40
    while server.active():
        assert time.monotonic() < end, "an answer goes on though nobody reads it"
        time.sleep(0.05)
