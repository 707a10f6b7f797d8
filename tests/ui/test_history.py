"""The list of chats in the sidebar: found, opened, renamed, deleted, with keys and in two tabs at once."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.api.served import Served
from tests.ui.browser import Tab

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\'"&{{7*7}}${7*7}'
SOON_MS = 40_000  # the list asks every four seconds, and the machine may be busy


def begun(demo: Served, title: str, said: str = "") -> str:
    chat = demo.client.post("/ggufrun/v1/chats", json={"title": title}).raise_for_status().json()["id"]
    if said:
        demo.client.post(f"/ggufrun/v1/chats/{chat}/messages", json={"content": said}).raise_for_status()
    return str(chat)


def changed(demo: Served, chat: str, **changes: Any) -> None:
    demo.client.patch(f"/ggufrun/v1/chats/{chat}", json=changes).raise_for_status()


def entry(page: Page, title: str) -> Locator:
    return page.locator("#chats .h-open").get_by_text(title, exact=True)


def menu(page: Page, title: str, item: str) -> None:
    entry(page, title).hover()
    page.get_by_label(f"More about {title}", exact=True).click()
    page.get_by_role("menuitem", name=item).click()


def test_listed_found_and_opened(demo: Served, user: Tab) -> None:
    page = user.page
    begun(demo, "About bees", "The queen lays up to 2000 eggs, said the beekeeper.")
    begun(demo, HOSTILE)
    begun(demo, "")
    expect(page.locator("#chats .h-open")).to_have_text(["New chat", HOSTILE, "About bees"], timeout=SOON_MS)
    expect(page.get_by_role("navigation", name="Chats").get_by_text("Today")).to_be_visible()
    assert page.evaluate("window.pwned") is None and page.title() == "ggufrun"

    page.locator("#find").fill("BEEKEEPER lays")
    expect(page.locator("#chats .h-open")).to_have_text(["About bees"])
    entry(page, "About bees").click()
    expect(entry(page, "About bees")).to_have_attribute("aria-current", "true")
    expect(page.locator("#said")).to_contain_text("2000 eggs")
    expect(page).to_have_title("About bees · ggufrun")
    page.locator("#find").fill("nobody said this")
    expect(page.locator("#chats .h-none")).to_have_text("No chat has these words.")

    page.locator("#find").fill("")
    page.locator("#new").click()
    expect(page.locator("#said")).not_to_contain_text("2000 eggs")
    expect(page.locator("#chats [aria-current]")).to_have_count(0)
    expect(page).to_have_title("ggufrun")


def test_renamed_and_deleted(demo: Served, user: Tab) -> None:
    page = user.page
    kept, gone = begun(demo, "To be kept"), begun(demo, "To be deleted", "Some words.")
    expect(entry(page, "To be deleted")).to_be_visible(timeout=SOON_MS)

    menu(page, "To be kept", "Rename")
    page.get_by_label("Title").fill("  Kept, under a new name ")
    page.get_by_label("Title").press("Enter")
    expect(page.locator("#chats .h-open").first).to_have_text("Kept, under a new name")
    assert demo.client.get(f"/ggufrun/v1/chats/{kept}").json()["title"] == "Kept, under a new name"

    entry(page, "To be deleted").click()
    expect(page.locator("#said")).to_contain_text("Some words.")
    menu(page, "To be deleted", "Delete")
    page.get_by_role("button", name="Keep").click()
    expect(entry(page, "To be deleted")).to_have_attribute("aria-current", "true")
    menu(page, "To be deleted", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(entry(page, "To be deleted")).to_have_count(0)
    expect(page.locator("#said")).not_to_contain_text("Some words.")
    assert demo.client.get(f"/ggufrun/v1/chats/{gone}").status_code == 404
    expect(page.get_by_text("has been deleted")).to_have_count(0)


def test_by_keys(demo: Served, user: Tab) -> None:
    page = user.page
    begun(demo, "Third by keys")
    begun(demo, "Second by keys", "Opened with Enter.")
    begun(demo, "First by keys")
    expect(entry(page, "First by keys")).to_be_visible(timeout=SOON_MS)
    page.locator("#ask textarea").focus()
    page.keyboard.press("Control+k")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("by keys")
    expect(page.locator("#chats .h-open")).to_have_count(3)

    page.keyboard.press("ArrowDown")
    expect(entry(page, "First by keys")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("Opened with Enter.")
    page.keyboard.press("F2")
    page.keyboard.type("Renamed by keys")
    page.keyboard.press("Enter")
    expect(page.locator("#chats .h-open").first).to_have_text("Renamed by keys")

    entry(page, "Third by keys").focus()
    page.keyboard.press("Delete")
    page.keyboard.press("Escape")
    expect(entry(page, "Third by keys")).to_be_focused()
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(entry(page, "Third by keys")).to_have_count(0)
    page.keyboard.press("Control+Alt+n")
    expect(page.locator("#ask textarea")).to_be_focused()
    expect(page.locator("#chats [aria-current]")).to_have_count(0)


def test_two_tabs(demo: Served, user: Tab) -> None:
    page, other = user.page, user.page.context.new_page()
    chat = begun(demo, "Seen by both", "Open in both.")
    other.goto(user.home)
    for each in (page, other):
        expect(entry(each, "Seen by both")).to_be_visible(timeout=SOON_MS)
        entry(each, "Seen by both").click()
        expect(each.locator("#said")).to_contain_text("Open in both.")
    menu(other, "Seen by both", "Rename")
    other.get_by_label("Title").fill("Renamed in the other")
    other.get_by_label("Title").press("Enter")
    expect(entry(page, "Renamed in the other")).to_be_visible(timeout=SOON_MS)
    expect(page).to_have_title("Renamed in the other · ggufrun")

    demo.client.delete(f"/ggufrun/v1/chats/{chat}").raise_for_status()
    for each in (page, other):
        expect(each.get_by_text("has been deleted, in another tab")).to_be_visible(timeout=SOON_MS)
        expect(each.locator("#said")).not_to_contain_text("Open in both.")
        expect(entry(each, "Renamed in the other")).to_have_count(0)


def test_many_and_a_running_one(demo: Served, user: Tab) -> None:
    page = user.page
    for number in range(75):
        begun(demo, f"Many {number}")
    page.locator("#find").fill("many")
    expect(page.locator("#chats .h-open")).to_have_count(60)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#chats .h-open")).to_have_count(75)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    expect(page.locator("#chats .h-open").last).to_have_text("Many 0")

    chat = begun(demo, "Many answers")
    settings = {"sampling": {"max_tokens": 4000, "min_tokens": 4000}}
    asked = {"message": {"content": "Count from one to one thousand."}, "settings": settings}
    demo.client.post(f"/ggufrun/v1/chats/{chat}/runs", json=asked).raise_for_status()
    running = page.locator("#chats .running .h-open")
    expect(running).to_have_text("Many answers", timeout=SOON_MS)
    expect(running).to_have_accessible_description("being answered")
    demo.client.delete(f"/ggufrun/v1/chats/{chat}").raise_for_status()
    expect(running).to_have_count(0, timeout=SOON_MS)
