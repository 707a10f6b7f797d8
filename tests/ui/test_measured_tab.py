"""Measured reports in a browser: begun, watched to the end, shown with table and pictures, opened, and deleted."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from ggufrun.compare.report.written import write_report
from tests.api.served import Served, served
from tests.compare.report import reports
from tests.ui.browser import Tab, tab
from tests.ui.keyed import only_chatting

LONG_MS = 120_000  # two tiny models, each in a process of its own
# What a script in a report could try.
REACH = """async () => {
  const reached = (address) => fetch(address).then(() => "reached", () => "no");
  return [await reached("/v1/models"), await reached("https://example.org"), self.origin];
}"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[[str], Path]) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    names = ("alpha", "twin")
    return [str(shutil.copy(tiny_model("llama-tiny"), folder / f"{name}.gguf")) for name in names]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(models: list[str], home: Path) -> Iterator[Served]:
    with served(models[0], home, models[1], page=True) as running:
        yield running


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_report(reports.full(), folder)
    return folder


@pytest.fixture
def kept(home: Path, drawn: Path) -> Iterator[Path]:
    """Two reports; one has a figure that is none."""
    folder = home / "compare"
    shutil.copytree(drawn, folder / "full")
    odd = json.loads((folder / "full" / "report.json").read_text())
    odd["title"], odd["rows"][0]["bytes"] = "Odd", "many"
    (folder / "odd").mkdir()
    (folder / "odd" / "report.json").write_text(json.dumps(odd))
    yield folder
    for name in ("full", "odd"):
        shutil.rmtree(folder / name, ignore_errors=True)


@pytest.fixture
def user(browser: Browser, server: Served) -> Iterator[Tab]:
    with tab(browser, str(server.client.base_url).rstrip("/")) as found:
        _open(found)
        yield found


def _open(found: Tab) -> None:
    found.open()
    found.page.get_by_role("tab", name="Side by side", exact=True).click()
    found.page.get_by_role("button", name="Measured reports").click()
    expect(found.page.locator("#measured-reports")).to_contain_text(re.compile("no reports yet|Show"))


def _measure(page: Page, *names: str) -> None:
    page.locator("#measured-models input").click()
    for name in names:
        page.locator("#measured-models").get_by_role("option", name=re.compile(f"^{name}")).click()
    page.keyboard.press("Escape")
    page.locator("#measured-start").click()


def test_a_comparison_is_begun_watched_and_opened(user: Tab, browser: Browser, home: Path) -> None:
    page = user.page
    page.locator("#measured-start").click()
    expect(page.get_by_text("Choose the models first.")).to_be_visible()
    page.locator("#measured-tasks").get_by_label("How the text goes on").check()
    page.locator("#measured-aims").get_by_label("with room for so much context").fill("600")
    page.locator("#measured-aims").get_by_label("Recommend only from so many tok/s on").fill("0.5")
    page.locator("#measured-aims").get_by_label("with other memory").fill("32GB")
    _measure(page, "alpha", "twin")
    run = page.locator("#measured-runs li.job")
    expect(run).to_contain_text(re.compile(r"\d+%.*: (loading|scoring|writing|timing)"), timeout=LONG_MS)
    shown = page.locator("#measured-report [data-report]")
    expect(shown).to_be_visible(timeout=LONG_MS)
    expect(run).to_have_count(0)
    (path,) = (home / "compare").glob("20*/report.json")
    written = json.loads(path.read_text())
    asked = {name: written["settings"][name] for name in ("tasks", "min_tok_s", "context", "gpu", "ram")}
    assert asked == {"tasks": ["choices"], "min_tok_s": 0.5, "context": 600, "gpu": None, "ram": "32GB"}
    assert [task["name"] for task in written["rows"][0]["tasks"]] == ["choices"]
    rows = shown.locator("tbody tr")
    assert rows.count() >= 4
    expect(rows.filter(has_text="reference")).to_have_count(1)
    expect(rows.filter(has_text="noise")).to_have_count(1)
    expect(page.locator("#measured-reports tr.chosen")).to_have_count(1)
    assert shown.locator("img").evaluate_all("(all) => all.length > 0 && all.every((each) => each.naturalWidth > 100)")

    with page.context.expect_page() as opening:
        page.locator("#measured-reports a").first.click()
    report = opening.value
    report.wait_for_load_state()
    assert re.search(r"/reports/[\w.-]+$", report.url)
    expect(report.locator("table").first).to_contain_text("twin")
    report.close()


def test_a_report_is_shown_and_deleted(kept: Path, user: Tab) -> None:
    page = user.page
    page.get_by_role("button", name="Show Odd").click()
    expect(page.get_by_text("This report is damaged")).to_be_visible()
    row = page.locator("#measured-reports tr").filter(has_text="Mistral-Small")
    shown = page.locator("#measured-report [data-report=full]")
    row.get_by_role("button", name="Show").click()
    expect(shown.locator("tbody tr")).to_have_count(10)
    row.get_by_role("button", name="Delete").click()
    page.locator("dialog.sure").get_by_role("button", name="Keep it").click()
    expect(page.locator("dialog.sure")).to_have_count(0)
    expect(shown).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    expect(page.locator("dialog.sure")).to_contain_text("Delete the report Mistral-Small")
    page.locator("dialog.sure").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    expect(shown).to_have_count(0)
    assert not (kept / "full").exists() and (kept / "odd").exists()


def test_an_opened_report_reaches_nothing(kept: Path, browser: Browser, server: Served) -> None:
    page = kept / "full" / "report.html"
    page.write_text(page.read_text().replace("</body>", "<script>window.__pwned = 1</script></body>"))
    base = str(server.client.base_url).rstrip("/")
    context = browser.new_context()
    try:
        opened = context.new_page()
        opened.goto(f"{base}/reports/full")
        expect(opened.locator("table").first).to_be_visible()
        assert opened.evaluate("window.__pwned") is None  # not the report's own script
        assert opened.evaluate(REACH) == ["no", "no", "null"]
        assert opened.request.get(f"{base}/reports/nothing").status == 404
    finally:
        context.close()


def test_a_run_is_stopped_and_another_user_sees_it(
    user: Tab, browser: Browser, server: Served, models: list[str], home: Path
) -> None:
    (place,) = (home / "run").glob("*.json")
    headers = {"Authorization": f"Bearer {json.loads(place.read_text())['token']}"}
    with httpx.Client(base_url=server.client.base_url, headers=headers) as admin:
        body = {"models": models, "mode": "default"}
        admin.post("/ggufrun/v1/compare", json=body).raise_for_status()
        run = user.page.locator("#measured-runs li.job")
        expect(run).to_contain_text("twin.gguf")
        run.get_by_role("button", name="Stop measuring").click()
        expect(run).to_have_attribute("data-state", "stopped")
        assert admin.get("/ggufrun/v1/compare").json()["runs"][0]["state"] == "stopped"


def test_keys_that_may_only_chat_are_told_so(browser: Browser, server: Served, home: Path) -> None:
    base = str(server.client.base_url).rstrip("/")
    with only_chatting(browser, base, home) as found:
        found.page.get_by_role("tab", name="Side by side", exact=True).click()
        found.page.get_by_role("button", name="Measured reports").click()
        expect(found.page.locator("#measured-runs")).to_contain_text("may chat, not manage")
        assert found.page.request.get(f"{base}/reports/hostile").status == 403
        assert httpx.get(f"{base}/reports/hostile").status_code == 401
