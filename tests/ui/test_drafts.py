"""Files of what is not sent yet: they stay with their chat, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.files import image
from tests.ui.test_ask import QUICK, answered, attach, chat_of, go_to, words

# As soon as the page's field is there it is looked at, and again after work that lets nothing else run.
BUSY = """{ const every = window.setInterval;
  window.setInterval = (look, ms, ...more) => {
    if (ms === 50) new MutationObserver((_, watch) => {
      if (!document.querySelector("#ask textarea")) return;
      watch.disconnect();
      look();
      for (const end = performance.now() + 600; performance.now() < end;);
      look();
    }).observe(document, { childList: true, subtree: true });
    return every(look, ms, ...more);
  }; }"""


@pytest.fixture(scope="module")
def server(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    (home / "ggufrun.toml").write_text(QUICK)
    with served("demo", home, page=True) as running:
        yield running


@pytest.fixture
def user(browser: Browser, server: Served) -> Iterator[Tab]:
    with tab(browser, str(server.client.base_url).rstrip("/")) as opened:
        opened.open()
        expect(words(opened.page)).to_contain_text("tokens")
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.txt").write_text(f"This is {name}.")
    return tmp_path


def files(page: Page) -> Locator:
    """Those in the box, counted by the server, too."""
    return page.locator("#context .file")


def new_chat(page: Page) -> None:
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#context [data-chat]")).to_have_attribute("data-chat", "")


def test_files_stay_where_a_reload_takes_long(user: Tab, folder: Path) -> None:
    page, box = user.page, user.page.locator("#ask textarea")
    attach(page, folder / "one.txt")
    box.fill("What is in it?")
    expect(files(page)).to_have_text(re.compile("one.txt"))
    page.add_init_script(BUSY)
    page.reload()
    expect(page.locator("#first")).to_have_count(0)
    expect(box).to_have_value("What is in it?")
    expect(files(page)).to_have_text(re.compile("one.txt"))


def test_files_stay_with_their_chat(user: Tab, server: Served, folder: Path) -> None:
    page, box = user.page, user.page.locator("#ask textarea")
    id = chat_of(server, "Elsewhere", "Hi", "Hello.")
    attach(page, folder / "one.txt")
    expect(files(page)).to_have_count(1)
    attach(page, image(folder / "photo.png"))
    box.fill("What is in them?")
    expect(page.locator("#ask .delete-button")).to_have_count(2)
    go_to(page, "Elsewhere", id)
    expect(page.locator("#ask .delete-button")).to_have_count(0)
    expect(box).to_have_value("")
    attach(page, folder / "two.txt")
    expect(files(page)).to_have_text(re.compile("two.txt"))
    new_chat(page)
    expect(box).to_have_value("What is in them?")
    expect(page.locator("#ask .delete-button")).to_have_count(2)
    expect(page.locator("#ask img")).to_be_visible()
    page.locator("#ask .delete-button").nth(1).click()  # the picture, which this model cannot see
    expect(files(page)).to_have_text(re.compile("one.txt"))
    box.press("Enter")
    expect(box).to_have_value("")
    expect(page.locator("#ask .delete-button")).to_have_count(0)
    asked = answered(server, page)["parent"]
    newest = server.client.get("/ggufrun/v1/chats").json()["data"][0]
    assert newest["title"] == "What is in them?"
    (question,) = [each for each in _messages(server, newest["id"]) if each["id"] == asked]
    assert "This is one." in str(question["content"]) and "two" not in str(question["content"])
    go_to(page, "Elsewhere", id)
    expect(files(page)).to_have_text(re.compile("two.txt"))
    new_chat(page)
    expect(page.locator("#ask .delete-button")).to_have_count(0)  # it was sent


def _messages(server: Served, id: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = server.client.get(f"/ggufrun/v1/chats/{id}").json()["messages"]
    return found


def test_a_reload_keeps_files_but_those_that_are_gone(user: Tab, server: Served, folder: Path) -> None:
    page, box = user.page, user.page.locator("#ask textarea")
    for name in ("one.txt", "two.txt"):
        attach(page, folder / name)
    expect(files(page)).to_have_count(2)
    box.fill("Both of them.")
    expect(files(page)).to_have_count(2)
    page.reload()
    expect(box).to_have_value("Both of them.")
    expect(files(page)).to_have_count(2)

    def is_gone(route: Route) -> None:
        route.fulfill(status=404) if "one.txt" in route.request.url else route.continue_()

    page.route(re.compile("/gradio_api/file=.*txt"), is_gone)
    page.reload()
    expect(box).to_have_value("Both of them.")
    expect(page.locator("#draft-said")).to_contain_text("left out of this draft: one.txt")
    expect(files(page)).to_have_text(re.compile("two.txt"))
    page.evaluate("() => new Promise(requestAnimationFrame)")  # all that the browser says has come by then
    user.wrong[:] = [each for each in user.wrong if "404" not in each]  # that there is none, says the browser
