"""The Models tab in a browser: a real server, the test hub behind it, models that are small and load."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.hub.faults import Drop, Slow
from tests.ui.models_tab import HOSTILE, LARGE, ODD, SLOW, ModelsTab, choose, do, models_tab, row
from tests.ui.talking import opened, quick, stored

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


def test_the_hub_is_asked_only_when_the_user_asks(there: ModelsTab) -> None:
    page = there.user.page
    page.get_by_role("tab", name="Models", exact=True).click()
    expect(row(page, "first")).to_contain_text("loaded")
    expect(page.locator("#found")).to_contain_text("ministral-3-8b")
    expect(page.locator("#shelf .sums")).to_contain_text("free of")  # the disk, once the machine is looked at
    expect(page.locator("#knobs form")).to_be_hidden()  # nothing is chosen
    assert not there.hub.log

    page.fill("#seek-q", "large")
    page.keyboard.press("Enter")
    expect(page.locator("#found h4")).to_contain_text("Found on the hub for “large”")
    expect(page.locator("#found tbody tr")).to_contain_text(["123,456"])
    do(page.locator("#found"), "Known models")
    expect(page.locator("#found h4")).to_have_text("Known models")


def test_a_repository_and_its_plan(models: Page, there: ModelsTab) -> None:
    choose(models, f"{LARGE}:Q8_0")
    told = there.get("show", spec=LARGE)
    lines = models.locator("#quants tbody tr")
    expect(lines).to_have_count(len(told["quants"]))
    expect(lines.filter(has_text="Q8_0")).to_contain_text("too large")
    expect(models.locator("#quants")).to_contain_text("licence mrl")

    models.click("#knobs summary")
    for name, value in (("gpu", "24GiB,12GiB"), ("ram", "64GiB"), ("context", "8k")):
        models.fill(f"#knobs [name={name}]", value)
    do(models.locator("#knobs"), "Plan")
    expect(models.locator("#plan figure")).to_have_count(3)
    plan = there.get("fit", spec=f"{LARGE}:Q8_0", gpu="24GiB,12GiB", ram="64GiB", context=8192)
    assert all(plan["devices"][0][f"{kind}_bytes"] for kind in ("weight", "kv", "compute"))
    for use in plan["devices"]:
        bar = models.locator(f"#plan figure[data-device={use['name']}]")
        for kind, field in (("weights", "weight_bytes"), ("kv", "kv_bytes"), ("compute", "compute_bytes")):
            shown = [int(each.get_attribute("data-bytes") or 0) for each in bar.locator(f"i.{kind}").all()]
            assert shown == ([use[field]] if use[field] else [])  # RAM without a layer has no cache
        widths = [part.evaluate("part => part.getBoundingClientRect().width") for part in bar.locator("i").all()]
        whole = bar.locator(".bar").evaluate("bar => bar.clientWidth")
        assert sum(widths) == pytest.approx(whole, abs=8)
        share = use["weight_bytes"] / use["total_bytes"] * whole
        assert bar.locator("i.weights").evaluate("i => i.getBoundingClientRect().width") == pytest.approx(share, abs=4)
    for sentence in plan["why"]:
        expect(models.locator("#plan .why")).to_contain_text(sentence)
    expect(models.locator("#plan .command code")).to_have_text(f"ggufrun serve {LARGE}:Q8_0 {plan['options']}")
    models.evaluate(
        """() => { Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true});
        document.addEventListener('copy', () => { window.copied = document.activeElement.value; }); }"""
    )  # as over plain http
    do(models.locator("#plan .command"), "Copy")
    expect(models.locator("#plan .command button")).to_have_text("Copied")
    assert models.evaluate("window.copied") == f"ggufrun serve {LARGE}:Q8_0 {plan['options']}"
    expect(lines.filter(has_text="Q8_0")).to_contain_text("partly in RAM")  # there, too, on that machine
    do(models.locator("#knobs"), "As it is here")
    expect(models.locator("#plan figure")).to_have_count(len(there.get("machine")["gpus"]) + 1)


def test_a_later_choice_takes_the_place_of_an_earlier_one(models: Page, there: ModelsTab) -> None:
    there.hub.faults.add(Slow(20_000), "slow-*.gguf", times=None)  # its header takes long
    models.fill("#seek-q", SLOW)
    models.keyboard.press("Enter")
    expect(models.locator("#quants .busy")).to_contain_text(SLOW)
    choose(models, LARGE)
    expect(models.locator("#plan h4")).to_contain_text(LARGE)
    expect(models.locator("#quants h4")).to_contain_text(LARGE)


def test_a_hub_that_does_not_answer(models: Page, there: ModelsTab) -> None:
    there.hub.faults.add(Drop(), on="hub", times=None)
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


def test_it_is_kept_up_to_date_only_while_it_is_seen(models: Page, there: ModelsTab) -> None:
    with models.expect_request(lambda request: request.method == "POST"):  # it says that nobody looks
        models.get_by_role("tab", name="Chat", exact=True).click()
    there.admin.post("/ggufrun/v1/models", json={"spec": "demo"}).raise_for_status()
    models.get_by_role("tab", name="Models", exact=True).click()
    expect(row(models, "demo")).to_contain_text("served, not loaded")
    there.admin.delete("/ggufrun/v1/models/demo").raise_for_status()
    expect(row(models, "demo")).not_to_contain_text("served")  # in some seconds, by itself


def test_what_is_loaded_here_is_chosen_for_good(models: Page, there: ModelsTab) -> None:
    """In the chat that is open, and in this browser, as if it were chosen in the picker."""
    (there.folder / "other.gguf").write_bytes((there.folder / "first.gguf").read_bytes())
    chat = quick(there.admin)
    opened(there.user, chat)
    there.show()
    do(row(models, "demo"), "Load")
    expect(models.locator("#model input")).to_have_value("demo")
    assert stored(there.admin, chat)["model"] == "demo"
    models.get_by_role("tab", name="Chat", exact=True).click()
    models.locator("#model input").click()
    expect(models.get_by_role("option", name="other (")).to_contain_text("not served yet")
    there.user.open()
    expect(models.locator("#model input")).to_have_value("demo")
    there.show()
    do(row(models, "first"), "Use")
    expect(models.locator("#model input")).to_have_value("first")


def test_the_cards_on_a_phone(models: Page) -> None:
    models.set_viewport_size({"width": 390, "height": 844})
    table = models.locator("#found .wide")
    assert table.evaluate("wide => wide.scrollWidth - wide.clientWidth") <= 1
    models.set_viewport_size({"width": 1400, "height": 1600})
