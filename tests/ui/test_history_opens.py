"""A click on a chat's name is answered at once, and what is shown in the end is what was chosen last."""

from playwright.sync_api import Page, Route, expect

from tests.api.served import Served
from tests.ui.browser import Tab
from tests.ui.talking import imported

# All in one task of the browser: nothing can have come from the server in between.
_CLICKED = """name => {
  const entry = [...document.querySelectorAll("#chats .h-open")].find((each) => each.textContent === name);
  entry.click();
  return [entry.ariaCurrent, document.getElementById("scroll").classList.contains("leaving")];
}"""


def made(demo: Served, page: Page, *titles: str) -> None:
    for title in titles:
        said = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": f"This is {title}."}]
        imported(demo.client, said, title=title)
    for title in titles:
        expect(page.locator("#chats .h-open").get_by_text(title, exact=True)).to_be_visible(timeout=40_000)


def clicked(page: Page, title: str) -> list[object]:
    return list(page.evaluate(_CLICKED, title))


def let_go(page: Page, what: str, held: list[Route]) -> None:
    """In the other order: nothing says in which one requests come to a server."""
    while held:
        held.pop().continue_()
    page.unroute(what)


def until_shown(page: Page, title: str) -> None:
    expect(page.locator("#said")).to_contain_text(f"This is {title}.")
    expect(page.locator("#scroll.leaving")).to_have_count(0)
    expect(page.locator("#chats [aria-current]")).to_have_text([title])
    expect(page).to_have_title(f"{title} · ggufrun")


def test_the_name_is_marked_before_the_chat_is_here(demo: Served, user: Tab) -> None:
    page = user.page
    made(demo, page, "first of all", "second of all", "third of all")
    assert clicked(page, "first of all") == ["true", True]
    until_shown(page, "first of all")
    held: list[Route] = []
    page.route("**/queue/join*", lambda route: held.append(route))
    assert clicked(page, "second of all") == ["true", True]
    assert clicked(page, "third of all") == ["true", True]
    page.wait_for_timeout(300)
    expect(page.locator("#said")).to_contain_text("This is first of all.")
    let_go(page, "**/queue/join*", held)
    until_shown(page, "third of all")
    assert clicked(page, "third of all") == ["true", False]  # it is open


def test_the_last_of_many_quick_clicks_holds(demo: Served, user: Tab) -> None:
    page = user.page
    names = ["one of three", "two of three", "three of three"]
    made(demo, page, *names)
    for last in range(6):
        for number in range(4):
            clicked(page, names[(last + number) % 3])
        until_shown(page, names[last % 3])


def test_a_chat_that_cannot_be_opened_leaves_no_mark(demo: Served, user: Tab) -> None:
    page = user.page
    made(demo, page, "soon gone")
    chats = demo.client.get("/ggufrun/v1/chats").json()["data"]
    held: list[Route] = []
    page.route("**/component_server/*", lambda route: held.append(route))  # the list does not notice it
    chat = next(each["id"] for each in chats if each["title"] == "soon gone")
    demo.client.delete(f"/ggufrun/v1/chats/{chat}").raise_for_status()
    assert clicked(page, "soon gone") == ["true", True]
    expect(page.get_by_text("This chat is not here")).to_be_visible()
    expect(page.locator("#scroll.leaving")).to_have_count(0)
    expect(page.locator("#chats [aria-current]")).to_have_count(0)
    let_go(page, "**/component_server/*", held)
