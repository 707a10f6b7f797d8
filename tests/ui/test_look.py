"""The window: its sidebars on wide and narrow screens, light and dark, and its keys."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.served import Served
from tests.ui.browser import Tab, tab

TABS = {"Chat": "chat", "Models": "models", "Side by side": "beside", "API": "api"}
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(24, 24, 27)"
BEHIND = """() => {
    const of = (each) => getComputedStyle(each).backgroundColor;
    let each = document.querySelector("#scroll");
    while (of(each) === "rgba(0, 0, 0, 0)") each = each.parentElement;
    return of(each);
}"""
FIRST_COLOR = """addEventListener("DOMContentLoaded", () => {
    window.firstColor = getComputedStyle(document.body).backgroundColor;
})"""
TOO_WIDE = """() => [...document.querySelectorAll("html, body, .gradio-container, #middle, .tabitem")]
    .filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
    .map((each) => each.id || each.className)"""


@pytest.fixture
def phone(browser: Browser, demo: Served) -> Iterator[Tab]:
    home = str(demo.client.base_url).rstrip("/")
    size = {"width": 390, "height": 780}
    with tab(browser, home, viewport=size, has_touch=True, is_mobile=True, color_scheme="dark") as opened:
        opened.open()
        yield opened


def wide(page: Page, selector: str) -> tuple[float, float]:
    """Where it begins and ends, from the left."""
    box = page.locator(selector).bounding_box()
    assert box is not None, selector
    return box["x"], box["x"] + box["width"]


def again(user: Tab) -> None:
    """Loaded anew. What Gradio says of the streams that this cuts is not looked at."""
    user.open()
    user.wrong[:] = [each for each in user.wrong if "abort" not in each.lower() and "errored out" not in each]


def expect_color(page: Page, wanted: str) -> None:
    """What is seen behind the chat."""
    page.wait_for_function(f"(wanted) => ({BEHIND})() === wanted", arg=wanted)


def test_sidebars_beside_the_chat(user: Tab) -> None:
    page = user.page
    for width in (1280, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        (_, left), (right, end) = wide(page, "#history"), wide(page, "#settings")
        begin, over = wide(page, "#ask")
        assert left <= begin < over <= right and end == width and over - begin > 500
        assert page.evaluate("document.scrollingElement.scrollHeight") <= 800

    page.get_by_role("button", name="Settings", exact=True).click()
    page.keyboard.press("Control+b")
    for side in ("#settings", "#history"):
        expect(page.locator(side)).to_be_hidden()
    again(user)
    for side in ("#settings", "#history"):
        expect(page.locator(side)).to_be_hidden()
    page.keyboard.press("Control+Alt+b")
    expect(page.locator("#settings")).to_be_visible()
    page.get_by_role("tab", name="API").click()
    expect(page.locator("#settings")).to_be_hidden()
    page.get_by_role("tab", name="Chat").click()
    expect(page.locator("#settings")).to_be_visible()


def test_light_and_dark(user: Tab) -> None:
    page = user.page
    page.context.add_init_script(FIRST_COLOR)
    page.emulate_media(color_scheme="light")
    expect_color(page, LIGHT)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body.dark")).to_have_count(1)
    expect_color(page, DARK)

    page.get_by_role("button", name="Light").click()
    expect(page.locator("body.dark")).to_have_count(0)
    expect_color(page, LIGHT)
    again(user)
    assert page.evaluate("window.firstColor") == LIGHT
    expect_color(page, LIGHT)
    expect(page.get_by_role("button", name="Light")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="As the system").click()
    expect(page.locator("body.dark")).to_have_count(1)
    again(user)
    assert page.evaluate("window.firstColor") == DARK
    expect_color(page, DARK)


def test_a_phone(phone: Tab) -> None:
    page = phone.page
    expect_color(page, DARK)
    for name, id in TABS.items():
        page.get_by_role("tab", name=name, exact=True).tap()
        expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
        expect(page.locator(f"#{id}-tab")).to_be_visible()
        too_wide = page.evaluate(TOO_WIDE)
        assert not too_wide, (name, too_wide)
    page.get_by_role("tab", name="Chat", exact=True).tap()

    for side, name in (("#history", "Chats"), ("#settings", "Settings")):
        expect(page.locator(side)).to_be_hidden()
        page.get_by_role("button", name=name, exact=True).tap()
        expect(page.locator(side)).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(side)).to_be_hidden()
    page.get_by_role("button", name="Chats", exact=True).tap()
    page.locator("#new").tap()
    expect(page.locator("#history")).to_be_hidden()
    page.get_by_role("button", name="Settings", exact=True).tap()
    page.touchscreen.tap(12, 400)
    expect(page.locator("#settings")).to_be_hidden()
    expect(page.locator("#ask")).to_be_in_viewport(ratio=1)


def test_keys(user: Tab) -> None:
    page, ask = user.page, user.page.locator("#ask textarea")
    page.locator("#tabs").click(position={"x": 300, "y": 200})
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.press("Escape")
    expect(ask).to_be_focused()
    page.keyboard.type("/?")
    expect(ask).to_have_value("/?")
    page.get_by_role("tab", name="Models").click()
    page.keyboard.press("Control+Alt+m")
    expect(ask).to_be_focused()

    page.get_by_role("button", name="Keys").click()
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("Ctrl+Alt+N")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()

    ask.fill("Tell me a long story.")
    page.keyboard.press("Enter")
    stop = page.locator("#ask .stop-button")
    expect(stop).to_be_visible()
    page.keyboard.press("Escape")
    expect(stop).to_be_hidden()
