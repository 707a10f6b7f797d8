"""The settings in a real browser: models, sampling, schema, presets. What is kept is read from the server's API."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jsonschema
import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from ggufrun.ui.settings.fields import FIELDS
from ggufrun.ui.settings.schema import EXAMPLE
from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.late import late
from tests.ui.talking import answers, ask, chat_of, imported, opened, stored, until_idle

PRESETS: Final = "/ggufrun/v1/presets"
SAMPLING: Final = {"temperature": 0.0, "seed": 7, "max_tokens": 12, "stop": ["\n\n"]}
EVIL: Final = "A/B <img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Place:
    """A server with a folder of models, and the data that outlives it."""

    server: Served
    home: Path

    @property
    def url(self) -> str:
        return str(self.server.client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def place(
    demo_path: Path, tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    for kind in ("llama-tiny", "bert-tiny"):
        (home / "models" / f"{kind}.gguf").symlink_to(tiny_model(kind))
    (home / "models" / "twice.gguf").write_bytes(tiny_model("llama-tiny").read_bytes())
    foreign = tiny_model("llama-tiny").read_bytes().replace(b"llama", b"ahmal")
    (home / "models" / "foreign.gguf").write_bytes(foreign)
    with served("demo", home, page=True) as server:
        yield Place(server, home)


@pytest.fixture
def at(browser: Browser, place: Place) -> Iterator[Tab]:
    with tab(browser, place.url) as opened:
        opened.open()
        expect(model(opened.page)).to_have_value("demo")
        yield opened


def model(page: Page) -> Any:
    return page.locator("#model input")


def state(page: Page) -> Any:
    return page.locator("#modelstate")


def choose(page: Page, name: str) -> None:
    model(page).click()
    page.get_by_role("option", name=re.compile(rf"\b{re.escape(name)}\b")).click()


def fill(page: Page, **texts: str) -> None:
    """As a user does, who leaves each field with Tab."""
    if page.locator("#sampling details[open]").count() == 0:
        page.locator("#sampling summary").click()
    for name, text in texts.items():
        page.locator(f"#sampling [name={name}]").fill(text)
        page.locator(f"#sampling [name={name}]").press("Tab")


def field(page: Page, name: str) -> Any:
    return page.locator(f"#sampling [name={name}]")


def until_kept(place: Place, chat: str, wanted: Callable[[dict[str, Any]], bool], page: Page) -> dict[str, Any]:
    """The chat's settings, once they are as they should be."""
    for _ in range(600):
        settings: dict[str, Any] = stored(place.server.client, chat)["settings"]
        if wanted(settings):
            return settings
        page.wait_for_timeout(50)
    raise AssertionError(settings)


def test_the_picker_loads_unloads_and_says_how_far_it_is(at: Tab, place: Place) -> None:
    page = at.page
    expect(state(page)).to_contain_text(re.compile(r"loaded.*Q4_1.*MiB.*context 8,192.*fits"))
    expect(field(page, "top_p")).to_have_attribute("placeholder", "0.9")
    page.locator("#unload").click()
    expect(page.locator("#modelstate .state.unloaded")).to_have_text("not loaded")
    page.evaluate(
        """() => { const node = document.querySelector('#modelstate'); window.said = [];
        new MutationObserver(() => window.said.push(node.innerHTML)).observe(node, {subtree: true, childList: true,
        characterData: true}); }"""
    )
    page.locator("#load").click()
    expect(page.locator("#modelstate .state.ready")).to_have_text("loaded")
    said = page.evaluate("window.said.join()")
    assert "<progress" in said and re.search(r"loading \d+%", said)


def test_a_model_of_this_machine_is_served_and_loaded_when_it_is_chosen(at: Tab, place: Place) -> None:
    page = at.page
    choose(page, "llama-tiny")
    expect(state(page)).to_contain_text(re.compile(r"\bloaded.*F16.*context 16,384"))
    expect(model(page)).to_have_value("llama-tiny")
    ids = [card["id"] for card in place.server.client.get("/v1/models").json()["data"]]
    assert ids == ["demo", "llama-tiny"]
    at.open()
    expect(model(page)).to_have_value("llama-tiny")  # this browser has chosen it
    expect(field(page, "top_p")).to_have_attribute("placeholder", "1")
    choose(page, "bert-tiny")
    expect(page.get_by_text("bert-tiny makes embeddings and does not chat")).to_be_visible()
    expect(model(page)).to_have_value("llama-tiny")
    choose(page, "foreign")
    expect(page.get_by_text("ahmal").first).to_be_visible()
    choose(page, "demo")
    expect(state(page)).to_contain_text("Q4_1")


def test_two_tabs_choose_the_same_model_of_this_machine(browser: Browser, place: Place) -> None:
    with tab(browser, place.url) as one, tab(browser, place.url) as other:
        for each in (one, other):
            each.open()
            expect(model(each.page)).to_have_value("demo")
        other.page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")  # it hears of nothing
        choose(one.page, "twice")
        expect(state(one.page)).to_contain_text(re.compile(r"\bloaded"))
        choose(other.page, "twice")  # there it is not served yet
        expect(state(other.page)).to_contain_text(re.compile(r"\bloaded.*F16"))
        expect(model(other.page)).to_have_value("twice")
        expect(other.page.get_by_test_id("toast-body")).to_have_count(0)
        other.open()
        expect(model(other.page)).to_have_value("twice")


def test_what_nobody_looks_at_asks_nothing(browser: Browser, place: Place) -> None:
    with tab(browser, place.url) as opened:
        page = opened.page
        page.clock.install()
        opened.open()
        expect(state(page)).to_contain_text("fits")
        hide = """is => { Object.defineProperty(document, 'hidden', {value: is, configurable: true});
        document.dispatchEvent(new Event('visibilitychange')); }"""
        page.evaluate(hide, True)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.clock.fast_forward(60_000)
        page.clock.run_for(60_000)
        assert not [url for url in asked if "/queue/join" in url]
        with page.expect_request("**/queue/join*"):
            page.evaluate(hide, False)
        counts: list[int] = []
        while not any(counts) and len(counts) < 60:  # it does not ask again before it was answered
            asked.clear()
            page.clock.run_for(20_500)
            page.wait_for_timeout(500)
            counts.append(len([url for url in asked if "/queue/join" in url]))
        assert 1 <= counts[-1] <= 3


def test_what_is_set_is_kept_and_gives_the_same_answer_twice(browser: Browser, place: Place) -> None:
    with tab(browser, place.url) as opened:
        opened.open()
        page = opened.page
        page.locator("#system textarea").fill("Answer in one word.")
        fill(page, temperature="0", seed="7", max_tokens="9")
        ask(page, "Name a river.")
        expect(answers(page)).to_have_count(1)
        chat = chat_of(page)
        fill(page, max_tokens="12", stop="\\n\\n")
        settings = until_kept(place, chat, lambda now: now.get("sampling") == SAMPLING, page)
        assert settings == {"system": "Answer in one word.", "sampling": SAMPLING}
        page.locator("#system textarea").fill("Answer in two words.")
        page.locator("#ask textarea").focus()
        settings = until_kept(place, chat, lambda now: now["system"] == "Answer in two words.", page)
        bodies = [{"settings": settings, "message": {"content": "Name a river.", "sibling_of": None}} for _ in range(2)]
        texts = [_answer(place, body) for body in bodies]
        assert texts[0] == texts[1] and texts[0]
        page.locator("#sampling button").click()
        assert until_kept(place, chat, lambda now: "sampling" not in now, page)["system"]
        expect(field(page, "temperature")).to_have_value("")
        place.server.client.patch(f"/ggufrun/v1/chats/{chat}", json={"settings": settings}).raise_for_status()


def test_what_was_typed_holds_however_late_the_page_tells_of_it(at: Tab, place: Place) -> None:
    """The event of the system prompt comes after the question, and those of other fields come before it."""
    page = at.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        if not held and "Answer in one word." in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/queue/join*", hold)
    page.locator("#system textarea").fill("Answer in one word.")
    fill(page, temperature="0", seed="7", max_tokens="9")
    ask(page, "Name a river.")
    expect(answers(page)).to_have_count(1)
    assert len(held) == 1
    wanted = {"system": "Answer in one word.", "sampling": {"temperature": 0.0, "seed": 7, "max_tokens": 9}}
    chat = chat_of(page)
    assert until_kept(place, chat, lambda now: now == wanted, page) == wanted
    fill(page, max_tokens="8")
    held[0].continue_()
    wanted["sampling"] = {"temperature": 0.0, "seed": 7, "max_tokens": 8}
    assert until_kept(place, chat, lambda now: now == wanted, page) == wanted


def _answer(place: Place, body: dict[str, Any]) -> str:
    client = place.server.client
    chat = client.post("/ggufrun/v1/chats", json={"model": "demo", "settings": body["settings"]}).json()["id"]
    run = client.post(
        f"/ggufrun/v1/chats/{chat}/runs", json={"message": {"content": body["message"]["content"]}}
    ).json()
    with client.stream("GET", f"/ggufrun/v1/chats/{chat}/runs/{run['id']}/events") as events:
        events.read()
    return str(stored(client, chat)["messages"][-1]["content"])


def test_what_is_out_of_range_is_said_and_not_kept(at: Tab, place: Place) -> None:
    page = at.page
    ask(page, "Hi")
    expect(answers(page)).to_have_count(1)
    chat = chat_of(page)
    for each in FIELDS:
        expect(page.locator(f"#sampling .{each.name}")).to_have_attribute("title", each.about)
    fill(page, temperature="9", top_k="3")
    expect(page.locator("#sampling .temperature em")).to_have_text("Temperature is 9. It must be from 0 to 2.")
    assert until_kept(place, chat, lambda now: "sampling" in now, page)["sampling"] == {"top_k": 3}
    expect(field(page, "temperature")).to_have_value("9")  # what one has typed stays, to be corrected
    fill(page, temperature="1")
    expect(page.locator("#sampling .temperature em")).to_be_empty()
    until_kept(place, chat, lambda now: now["sampling"] == {"top_k": 3, "temperature": 1.0}, page)


def test_answers_match_the_schema_and_a_broken_one_is_said(at: Tab, place: Place) -> None:
    page = at.page
    page.locator("#json > button, #json .label-wrap").first.click()
    said = page.locator("#schemasaid")
    page.locator("#schemaexample").click()
    expect(said).to_contain_text("In force.")
    fill(page, temperature="0", max_tokens="150")
    ask(page, "Describe a sunny day.")
    expect(answers(page)).to_have_count(2)  # and whether it matches
    until_idle(page)
    chat = chat_of(page)
    kept = stored(place.server.client, chat)
    assert kept["settings"]["schema"] == EXAMPLE
    jsonschema.validate(json.loads(kept["messages"][-1]["content"]), EXAMPLE)
    editor = page.locator("#schema .cm-content")
    editor.fill('{"type": "objct"}')
    expect(said).to_contain_text("Not used. /type: 'objct'")
    editor.fill('{"type": ')
    expect(said).to_contain_text(re.compile(r"Not used. Line 1, column \d+.*The one before it is still used"))
    assert stored(place.server.client, chat)["settings"]["schema"] == EXAMPLE
    editor.fill('{"type": "array", "uniqueItems": true, "items": {"type": "integer"}}')
    expect(said).to_contain_text("Checked when the answer is complete: 1")
    until_kept(place, chat, lambda now: now["schema"].get("type") == "array", page)
    page.locator("#schemaclear").click()
    until_kept(place, chat, lambda now: "schema" not in now, page)
    expect(editor).to_have_text("")


def test_presets_are_saved_used_overwritten_and_deleted(at: Tab, place: Place) -> None:
    page, client = at.page, place.server.client
    name = page.locator("#preset input")

    def save(text: str) -> None:
        name.fill(text)
        name.press("Tab")
        page.locator("#presetsave").click()

    page.locator("#system textarea").fill("Be brief.")
    fill(page, temperature="0.5")
    save(EVIL)
    expect(page.get_by_text("Saved: A/B")).to_be_visible()
    settings = {"system": "Be brief.", "sampling": {"temperature": 0.5}}
    assert client.get(PRESETS).json()["data"] == [{"name": EVIL, "model": "demo", "settings": settings}]
    fill(page, temperature="1.5")
    save(EVIL)
    expect(page.get_by_text("Overwritten: A/B")).to_be_visible()
    assert client.get(PRESETS).json()["data"][0]["settings"]["sampling"] == {"temperature": 1.5}
    client.put(
        f"{PRESETS}/{quote('json', safe='')}",
        json={"model": "demo", "settings": {"schema": EXAMPLE, "sampling": {"seed": 3}}},
    )
    at.open()  # a new tab has none of it
    expect(page.locator("#system textarea")).to_have_value("")
    expect(model(page)).to_have_value("demo")
    ask(page, "Hi")
    expect(answers(page)).to_have_count(1)
    chat = chat_of(page)
    name.click()
    page.get_by_role("option", name=EVIL).click()
    expect(page.locator("#system textarea")).to_have_value("Be brief.")
    expect(field(page, "temperature")).to_have_value("1.5")
    until_kept(place, chat, lambda now: now == {"system": "Be brief.", "sampling": {"temperature": 1.5}}, page)
    name.click()
    page.get_by_role("option", name="json", exact=True).click()
    expect(page.locator("#system textarea")).to_have_value("")
    expect(field(page, "seed")).to_have_value("3")
    until_kept(place, chat, lambda now: now == {"schema": EXAMPLE, "sampling": {"seed": 3}}, page)
    page.locator("#json > button, #json .label-wrap").first.click()
    expect(page.locator("#schema .cm-content")).to_contain_text("maxItems")
    expect(page.locator("#schemasaid")).to_contain_text("In force.")
    asked: list[str] = []

    def sure(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", sure)
    page.locator("#presetdelete").click()
    expect(name).to_have_value("")
    assert asked == ["Delete the preset “json”?"]
    assert [each["name"] for each in client.get(PRESETS).json()["data"]] == [EVIL]


def test_a_preset_is_used_in_the_chat_that_was_seen(at: Tab, place: Place) -> None:
    client = place.server.client
    client.put(f"{PRESETS}/poet", json={"settings": {"system": "Write in verse."}}).raise_for_status()
    said = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello!"}]
    first, second = (imported(client, said, settings={"system": f"Of {name}."}) for name in ("first", "second"))
    page = opened(at, first)
    system = page.locator("#system textarea")
    expect(system).to_have_value("Of first.")
    page.locator("#preset input").click()
    with late(page, words='"poet"') as arrives:
        page.get_by_role("option", name="poet").click()
    page.locator(f"#chats li[data-id='{second}'] .h-open").click()
    expect(system).to_have_value("Of second.")
    arrives()
    expect(page.get_by_text("Another chat is open by now: the preset was not used.")).to_be_visible()
    expect(system).to_have_value("Of second.")
    assert [stored(client, each)["settings"]["system"] for each in (first, second)] == ["Of first.", "Of second."]
    client.delete(f"{PRESETS}/poet").raise_for_status()
