"""What one writes and attaches, and the context: in a browser, with a model that has little of it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.chatting import CHATS
from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.files import image, pdf

QUICK = "[defaults]\nmax_tokens = 6\ntemperature = 0.0\n"
DATA = """([name, type, base64, kind]) => {
    const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type }));
    const box = document.querySelector("#ask textarea");
    const event = kind === "paste" ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true, cancelable: true })
        : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
    box.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def small(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A context of 256 tokens, and short answers."""
    home = tmp_path_factory.mktemp("home")
    (home / "ggufrun.toml").write_text(QUICK)
    with served("demo", home, "--context", "256", page=True) as server:
        yield server


@pytest.fixture
def user(browser: Browser, small: Served) -> Iterator[Tab]:
    with tab(browser, str(small.client.base_url).rstrip("/")) as opened:
        opened.open()
        expect(words(opened.page)).to_contain_text("of 256 tokens")
        yield opened


def words(page: Page) -> Any:
    return page.locator("#context .words")


def attach(page: Page, path: Path) -> None:
    page.locator("#ask input[type=file]").first.set_input_files(path)


def chat_of(server: Served, title: str, *said: str) -> str:
    """Questions and answers, in turn."""
    id = str(server.client.post(CHATS, json={"title": title}).raise_for_status().json()["id"])
    for at, text in enumerate(said):
        message = {"role": "assistant" if at % 2 else "user", "content": text}
        server.client.post(f"{CHATS}/{id}/messages", json=message).raise_for_status()
    return id


def read(server: Served, id: str) -> dict[str, Any]:
    return dict(server.client.get(f"{CHATS}/{id}").raise_for_status().json())


def answered(server: Served, page: Page) -> dict[str, Any]:
    """The last answer of the newest chat, when it is there."""
    expect(page.locator("#ask").get_by_role("button", name="Submit")).to_be_visible()
    newest = server.client.get(CHATS).json()["data"][0]["id"]
    return dict(read(server, newest)["messages"][-1])


def test_files_are_counted_before_they_are_sent(user: Tab, small: Served, tmp_path: Path) -> None:
    page = user.page
    (tmp_path / "a.pdf").write_bytes(pdf("The harbour opened in 1911."))
    (tmp_path / "<b>x.csv").write_text("ship,year\nAnna,1911\n")
    (tmp_path / "prog.txt").write_bytes(b"\x7fELF\x00\x00")
    page.locator("#ask textarea").fill("When did it open?")
    attach(page, tmp_path / "a.pdf")
    expect(page.locator("#context .file")).to_have_count(1)
    attach(page, tmp_path / "<b>x.csv")
    expect(page.locator("#context .file")).to_have_count(2)
    expect(page.locator("#context .file").nth(0)).to_contain_text("a.pdf")
    expect(page.locator("#context .file").nth(1)).to_contain_text("x.csv")
    expect(page.locator("#context .file b").nth(1)).to_contain_text("tokens")
    said = int(words(page).inner_text().split(" of ")[0])
    page.locator("#ask textarea").press("Enter")
    expect(page.locator("#ask textarea")).to_have_value("")
    answer = answered(small, page)
    assert answer["meta"]["usage"]["prompt_tokens"] == said
    attach(page, tmp_path / "prog.txt")
    expect(page.locator("#context [role=alert]")).to_contain_text("prog.txt is neither text, PDF nor an image")


@pytest.mark.parametrize("how", ["upload", "paste", "drop"])
def test_an_image_that_the_model_cannot_see(user: Tab, tmp_path: Path, how: str) -> None:
    page, path = user.page, image(tmp_path / "photo.png")
    page.locator("#ask textarea").fill("What is it?")
    if how == "upload":
        attach(page, path)
    else:
        page.evaluate(DATA, ["photo.png", "image/png", base64.b64encode(path.read_bytes()).decode(), how])
    expect(page.locator("#ask img")).to_be_visible()
    expect(page.locator("#context [role=alert]")).to_contain_text("demo cannot see images (photo.png)")
    page.locator("#ask textarea").press("Enter")
    expect(page.get_by_test_id("toast-body")).to_contain_text("demo cannot see images")
    expect(page.locator("#ask textarea")).to_have_value("What is it?")
    expect(page.locator("#ask img")).to_be_visible()


def test_a_full_context_is_said_and_made_free(user: Tab, small: Served) -> None:
    page, long = user.page, "The harbour of the old town has many ships. " * 8
    id = chat_of(small, "Harbours", f"First: {long}", "Yes.", f"Second: {long}", "Indeed.")
    page.get_by_role("navigation", name="Chats").get_by_text("Harbours").click()
    expect(page.locator("#context [role=alert]")).to_contain_text("The context is")
    expect(page.locator("#context [role=alert]")).to_contain_text("load demo with a larger context")
    expect(page.locator("#leave")).to_be_hidden()
    page.locator("#ask textarea").fill("And what do the ships carry? " * 10)
    expect(page.locator("#context [role=alert]")).to_contain_text("Too long")
    choices = page.locator("#leave-list label")
    expect(choices).to_have_count(2)
    expect(choices.first).to_contain_text("“First: The harbour")
    before = int(words(page).inner_text().split(" of ")[0])
    freed = int(choices.first.inner_text().split(" · ")[1].split()[0])
    choices.first.locator("input").check()
    page.locator("#leave-out").click()
    expect(choices.first).to_contain_text("Left out: “First")
    expect(words(page)).to_contain_text(f"{before - freed:,} of 256")
    expect(page.locator("#context .meter.full")).to_have_count(0)
    assert read(small, id)["settings"]["left_out"] == [read(small, id)["messages"][0]["id"]]
    expect(page.locator("#said .message-row.left-out")).to_have_count(2)
    page.locator("#ask textarea").press("Enter")
    expect(page.locator("#ask textarea")).to_have_value("")
    assert answered(small, page)["meta"]["usage"]["prompt_tokens"] == before - freed
    choices.first.locator("input").check()
    page.locator("#bring-back").click()
    expect(choices.first).not_to_contain_text("Left out")
    expect(page.locator("#said .message-row.left-out")).to_have_count(0)
    assert read(small, id)["settings"]["left_out"] == [] and len(read(small, id)["messages"]) == 6


def test_what_is_typed_is_kept_with_its_chat(user: Tab, small: Served) -> None:
    page, box = user.page, user.page.locator("#ask textarea")
    chat_of(small, "Elsewhere", "Hi", "Hello.")
    box.fill("half a thought")
    expect(words(page)).to_contain_text("33 of 256")
    page.reload()
    expect(box).to_have_value("half a thought")
    page.get_by_role("navigation", name="Chats").get_by_text("Elsewhere").click()
    expect(box).to_have_value("")
    box.fill("another one")
    expect(page.locator("#context [data-chat]")).not_to_have_attribute("data-chat", "")
    page.get_by_role("button", name="New chat").click()
    expect(box).to_have_value("half a thought")
    box.press("Enter")
    expect(box).to_have_value("")  # who turns to another chat before that has sent nothing
    answered(small, page)
    page.get_by_role("navigation", name="Chats").get_by_text("Elsewhere").click()
    expect(box).to_have_value("another one")
    page.get_by_role("button", name="New chat").click()
    expect(box).to_have_value("")
    page.reload()
    expect(words(page)).to_contain_text("of 256")
    expect(box).to_have_value("")


def go_to(page: Page, title: str, id: str) -> None:
    page.get_by_role("navigation", name="Chats").get_by_text(title).click()
    expect(page.locator("#context [data-chat]")).to_have_attribute("data-chat", id)


def test_files_give_no_title(user: Tab, small: Served, tmp_path: Path) -> None:
    page, box = user.page, user.page.locator("#ask textarea")
    (tmp_path / "n2.txt").write_text("two")
    attach(page, tmp_path / "n2.txt")
    box.fill("What is in them?")
    expect(page.locator("#context .file")).to_have_count(1)
    box.press("Enter")
    expect(box).to_have_value("")
    expect(page.locator("#ask .delete-button")).to_have_count(0)
    answered(small, page)
    assert small.client.get(CHATS).json()["data"][0]["title"] == "What is in them?"


def test_a_message_that_is_taken_later_is_no_draft(user: Tab, small: Served) -> None:
    """Its model has to be loaded first, and the user turns to another chat and back."""
    page, box = user.page, user.page.locator("#ask textarea")
    first, second = chat_of(small, "Asked here", "Hi", "Hello."), chat_of(small, "Not here", "Hi", "Hello.")
    go_to(page, "Not here", second)
    go_to(page, "Asked here", first)
    page.locator("#unload").click()
    expect(page.locator("#modelstate .state.unloaded")).to_have_text("not loaded")
    box.fill("Are you there?")
    box.press("Enter")
    go_to(page, "Not here", second)
    expect(box).to_have_value("")
    for _ in range(300):
        if len(read(small, first)["messages"]) == 4:
            break
        page.wait_for_timeout(100)
    go_to(page, "Asked here", first)
    expect(box).to_have_value("")
    expect(page.locator("#said").get_by_text("Are you there?")).to_be_visible()
    page.reload()
    expect(words(page)).to_contain_text("of 256")
    expect(box).to_have_value("")


def test_what_is_left_out_stays_so_in_two_tabs(browser: Browser, user: Tab, small: Served) -> None:
    page = user.page
    id = chat_of(small, "Twice open", "First", "Yes.", "Second", "Indeed.")
    with tab(browser, user.home) as other:
        other.open(f"/?chat={id}")
        expect(words(other.page)).to_contain_text("of 256")
        go_to(page, "Twice open", id)
        page.locator("#leave-open").click()
        page.locator("#leave-list label").first.locator("input").check()
        page.locator("#leave-out").click()
        expect(page.locator("#said .message-row.left-out")).to_have_count(2)
        gone = [read(small, id)["messages"][0]["id"]]
        other.page.locator("#system textarea").fill("Be brief.")
        other.page.locator("#system textarea").press("Tab")
        for _ in range(600):
            if "system" in read(small, id)["settings"]:
                break
            page.wait_for_timeout(50)
        assert read(small, id)["settings"] == {"system": "Be brief.", "left_out": gone}
        other.page.locator("#ask textarea").fill("Third")
        other.page.locator("#ask textarea").press("Enter")
        expect(other.page.locator("#ask textarea")).to_have_value("")
        expect(other.page.locator("#said .message-row.left-out")).to_have_count(2)
        answered(small, other.page)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#context [data-chat]")).to_have_attribute("data-chat", "")
    page.locator("#ask textarea").fill("Another chat")
    page.locator("#ask textarea").press("Enter")
    expect(page.locator("#ask textarea")).to_have_value("")
    answered(small, page)
    newest = small.client.get(CHATS).json()["data"][0]["id"]
    assert newest != id and "left_out" not in read(small, newest)["settings"]
