"""The Models tab in a browser: a real server, the test hub behind it, models that are small and load."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.api.served import Served, served
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.faults import Drop, Slow
from tests.hub.home import Home
from tests.hub.models import MIB, padded
from tests.ui.browser import Tab, tab

pytestmark = pytest.mark.process

Json = dict[str, Any]
LIBRARY: Final = "/ggufrun/v1/library"
REPO, LARGE, SLOW = "owner/Tiny-GGUF", "owner/Large-GGUF", "owner/Slow-GGUF"
HOSTILE, WRONG = "owner/Odd-GGUF", "owner/Wrong-GGUF"
SMALL = f"{REPO}:Q4_K_M"
ODD: Final = "<img src=x onerror=alert(1)>${alert(1)}{{x}}"


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        yield server


@pytest.fixture(scope="module")
def home(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("models-tab"), hub.endpoint)


@pytest.fixture(scope="module")
def server(hub: FakeHub, home: Home, tiny_model: Callable[[str], Path], shape: Callable[..., Path]) -> Iterator[Served]:
    """With one small model, and repositories on the hub: one that loads, one as large as Mistral Medium, an odd one."""
    tiny = tiny_model("llama-tiny")
    data = padded(tiny, 24 * MIB, "tab")
    hub.add_repo(REPO, {"tiny-Q4_K_M.gguf": data, "tiny-Q8_0.gguf": data + bytes(MIB)}, licence="apache-2.0")
    files = {"real-Q4_K_M.gguf": shape("ministral-3b"), "real-Q8_0.gguf": shape("medium-3.5")}
    claimed = {
        name: FakeFile(path, claimed_sha256=name.encode().hex().ljust(64, "0")[:64]) for name, path in files.items()
    }
    hub.add_repo(LARGE, claimed, licence="mrl", downloads=123_456)
    hub.add_repo(WRONG, {"wrong-Q4_K_M.gguf": FakeFile(data, claimed_sha256="0" * 64)})
    hub.add_repo(SLOW, {"slow-Q4_K_M.gguf": data})
    hub.add_repo(HOSTILE, {"odd-Q4_K_M.gguf": data}, licence=ODD, gated=True)
    models = home.folder / "models"
    models.mkdir(parents=True)
    (models / "first.gguf").write_bytes(tiny.read_bytes())
    with served(models / "first.gguf", home.folder, page=True, verify=True, **home.environment()) as running:
        yield running


@pytest.fixture(scope="module")
def opened(browser: Browser, server: Served) -> Iterator[Tab]:
    with tab(browser, str(server.client.base_url).rstrip("/"), viewport={"width": 1400, "height": 1600}) as user:
        user.open()
        yield user


@pytest.fixture
def models(opened: Tab, hub: FakeHub) -> Iterator[Page]:
    """The tab, open."""
    hub.faults.clear()
    opened.page.get_by_role("tab", name="Models", exact=True).click()
    expect(opened.page.locator("#shelf table")).to_be_visible()
    yield opened.page
    hub.faults.clear()


@pytest.fixture(scope="module")
def admin(home: Home, server: Served) -> Iterator[httpx.Client]:
    """What the API says, to compare the page with."""
    (place,) = (home.folder / "run").glob("*.json")
    headers = {"Authorization": f"Bearer {json.loads(place.read_text())['token']}"}
    with httpx.Client(base_url=server.client.base_url, headers=headers, timeout=60) as client:
        yield client


def get(admin: httpx.Client, path: str, **query: str | int) -> Json:
    answer: Json = admin.get(f"{LIBRARY}/{path}", params=query).raise_for_status().json()
    return answer


def row(page: Page, name: str) -> Locator:
    return page.locator("#shelf tbody tr", has=page.get_by_role("rowheader", name=name, exact=True))


def job(page: Page, about: str) -> Locator:
    return page.locator(".job", has_text=about)


def do(part: Locator, words: str) -> None:
    part.get_by_role("button").filter(has_text=re.compile(f"^{re.escape(words)}$")).click()


def choose(page: Page, spec: str) -> None:
    page.fill("#seek-q", spec)
    page.keyboard.press("Enter")
    expect(page.locator("#quants h4")).to_contain_text(spec.partition(":")[0])


def test_the_hub_is_asked_only_when_the_user_asks(
    opened: Tab, hub: FakeHub, server: Served, admin: httpx.Client
) -> None:
    page = opened.page
    page.get_by_role("tab", name="Models", exact=True).click()
    expect(row(page, "first")).to_contain_text("loaded")
    expect(page.locator("#found")).to_contain_text("ministral-3-8b")
    expect(page.locator("#shelf .sums")).to_contain_text("free of")  # the disk, once the machine is looked at
    expect(page.locator("#knobs form")).to_be_hidden()  # nothing is chosen
    assert not hub.log

    page.fill("#seek-q", "large")
    page.keyboard.press("Enter")
    expect(page.locator("#found h4")).to_contain_text("Found on the hub for “large”")
    expect(page.locator("#found tbody tr")).to_contain_text(["123,456"])
    do(page.locator("#found"), "Known models")
    expect(page.locator("#found h4")).to_have_text("Known models")


def test_a_repository_and_its_plan(models: Page, admin: httpx.Client) -> None:
    choose(models, f"{LARGE}:Q8_0")
    told = get(admin, "show", spec=LARGE)
    lines = models.locator("#quants tbody tr")
    expect(lines).to_have_count(len(told["quants"]))
    expect(lines.filter(has_text="Q8_0")).to_contain_text("too large")
    expect(models.locator("#quants")).to_contain_text("licence mrl")

    models.click("#knobs summary")
    for name, value in (("gpu", "24GiB,12GiB"), ("ram", "64GiB"), ("context", "8k")):
        models.fill(f"#knobs [name={name}]", value)
    do(models.locator("#knobs"), "Plan")
    expect(models.locator("#plan figure")).to_have_count(3)
    plan = get(admin, "fit", spec=f"{LARGE}:Q8_0", gpu="24GiB,12GiB", ram="64GiB", context=8192)
    for use in plan["devices"]:
        bar = models.locator(f"#plan figure[data-device={use['name']}]")
        for kind, field in (("weights", "weight_bytes"), ("kv", "kv_bytes"), ("compute", "compute_bytes")):
            assert int(bar.locator(f"i.{kind}").get_attribute("data-bytes") or 0) == use[field] > 0
        widths = [part.evaluate("part => part.getBoundingClientRect().width") for part in bar.locator("i").all()]
        whole = bar.locator(".bar").evaluate("bar => bar.clientWidth")
        assert sum(widths) == pytest.approx(whole, abs=8)
        share = use["weight_bytes"] / use["total_bytes"] * whole
        assert bar.locator("i.weights").evaluate("i => i.getBoundingClientRect().width") == pytest.approx(share, abs=4)
    for sentence in plan["why"]:
        expect(models.locator("#plan .why")).to_contain_text(sentence)
    expect(models.locator("#plan .command code")).to_have_text(f"ggufrun serve {LARGE}:Q8_0 {plan['options']}")
    expect(lines.filter(has_text="Q8_0")).to_contain_text("partly in RAM")  # there, too, on that machine
    do(models.locator("#knobs"), "As it is here")
    expect(models.locator("#plan figure")).to_have_count(len(get(admin, "machine")["gpus"]) + 1)


def test_a_later_choice_takes_the_place_of_an_earlier_one(models: Page, hub: FakeHub) -> None:
    hub.faults.add(Slow(20_000), "slow-*.gguf", times=None)  # its header takes long
    models.fill("#seek-q", SLOW)
    models.keyboard.press("Enter")
    expect(models.locator("#quants .busy")).to_contain_text(SLOW)
    choose(models, LARGE)
    expect(models.locator("#plan h4")).to_contain_text(LARGE)
    expect(models.locator("#quants h4")).to_contain_text(LARGE)


def test_a_pull_is_stopped_goes_on_and_is_loaded(
    models: Page, browser: Browser, opened: Tab, hub: FakeHub, admin: httpx.Client
) -> None:
    choose(models, REPO)
    expect(models.locator("#plan h4")).to_contain_text(REPO)
    hub.faults.add(Slow(4e5), skip=1, times=None)  # the first is for the header
    do(models.locator("#quants tr", has_text="Q4_K_M"), "Pull")
    going = job(models, SMALL)
    expect(going.locator(".told")).to_have_text(re.compile(r"[\d.]+ of 25\.2 MB, [\d.]+ MB/s, .+ left\."))
    going.get_by_role("button").focus()
    told = going.locator(".told").inner_text()
    expect(going.locator(".told")).not_to_have_text(told)
    expect(going.get_by_role("button")).to_be_focused()  # what is under the keyboard stays, however it goes on
    with tab(browser, opened.home) as other:  # and whoever else looks, or reloads
        other.open()
        other.page.get_by_role("tab", name="Models", exact=True).click()
        expect(job(other.page, SMALL).locator(".told")).to_contain_text("of 25.2 MB")
        do(job(other.page, SMALL), "Stop")
    expect(going).to_have_attribute("data-state", "stopped")
    expect(row(models, SMALL)).to_contain_text("here in part")
    came = next(each for each in get(admin, "local")["data"] if each["name"] == SMALL)["partial"]["bytes"]
    assert came > 0

    hub.faults.clear()
    before = hub.sent("tiny-Q4_K_M.gguf")
    do(row(models, SMALL), "Go on")
    expect(going).to_have_attribute("data-state", "done")
    assert hub.sent("tiny-Q4_K_M.gguf") - before <= 24 * MIB - came + 300_000  # what came is kept
    expect(models.locator("#quants tr", has_text="Q4_K_M")).to_contain_text("here")
    do(going, "Load it")
    expect(row(models, SMALL)).to_contain_text("loaded")
    name = next(each["name"] for each in admin.get("/ggufrun/v1/models").json()["data"] if "Q4_K_M" in each["file"])
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
    assert SMALL not in [each["name"] for each in get(admin, "local")["data"]]


def test_a_pull_that_fails_says_why(models: Page) -> None:
    for repo, why in ((HOSTILE, "gated"), (WRONG, "sha256")):
        choose(models, repo)
        do(models.locator("#quants tr", has_text="Q4_K_M"), "Pull")
        failed = job(models, repo)
        expect(failed).to_have_attribute("data-state", "failed")
        expect(failed.locator(".wrong")).to_contain_text(why)
        expect(failed.get_by_role("button")).to_have_text("Try again")


def test_a_hub_that_does_not_answer(models: Page, hub: FakeHub) -> None:
    hub.faults.add(Drop(), on="hub", times=None)
    models.fill("#seek-q", "tiny")
    models.keyboard.press("Enter")
    expect(models.locator("#found .wrong")).to_contain_text("What is on this machine works all the same.")
    do(row(models, "first"), "Plan")
    expect(models.locator("#plan h4")).to_contain_text("first")
    do(models.locator("#found"), "Known models")
    expect(models.locator("#found")).to_contain_text("ministral-3-8b")


def test_what_the_hub_says_is_not_taken_for_html(models: Page) -> None:
    choose(models, HOSTILE)
    expect(models.locator("#quants")).to_contain_text(ODD)
    expect(models.locator("#quants")).to_contain_text("gated")
    assert models.locator("#quants img").count() == 0


def test_it_is_kept_up_to_date_only_while_it_is_seen(models: Page, admin: httpx.Client) -> None:
    with models.expect_event("requestfinished", lambda request: "/queue/data" in request.url):  # what brings changes
        models.get_by_role("tab", name="Chat", exact=True).click()
    admin.post("/ggufrun/v1/models", json={"spec": "demo"}).raise_for_status()
    models.get_by_role("tab", name="Models", exact=True).click()
    expect(row(models, "demo")).to_contain_text("served, not loaded")
    admin.delete("/ggufrun/v1/models/demo").raise_for_status()
    expect(row(models, "demo")).not_to_contain_text("served")  # in some seconds, by itself
