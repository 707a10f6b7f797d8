"""What a browser is shown before Gradio is there: one writes at once, and nothing of it is lost, or sent twice."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.api.served import Served, served
from tests.program import ROOT
from tests.ui.browser import tab
from tests.ui.held import Held, arrived, held
from tests.ui.keyed import log_in, make_key
from tests.ui.talking import CHATS, answers, ask, chat_of, questions, quick, stored, until_idle

pytestmark = pytest.mark.process
DARK = "rgb(24, 24, 27)"
HTML = {"Accept": "text/html"}
WATCH = """() => { window.told = [];
    new MutationObserver((all) => window.told.push(...all.map((each) => each.target.textContent)))
        .observe(document.getElementById("first-state"), { childList: true, characterData: true, subtree: true }); }"""
CARET = "() => [document.activeElement.closest('#ask') !== null, document.activeElement.selectionStart]"


@pytest.fixture(scope="module")
def model(tiny_model: Callable[[str], Path]) -> Path:
    return tiny_model("llama-tiny")


def serving(model: Path, folder: Path, *options: str) -> AbstractContextManager[Held]:
    return held(folder, "serve", str(model), "--port", "0", *options)


def written(page: Page, text: str) -> None:
    """Into the first page's field, which has the focus."""
    expect(page.locator("#first-text")).to_be_focused()
    page.keyboard.type(text)


def place(page: Page, selector: str) -> list[float]:
    box = page.locator(selector).bounding_box()
    assert box is not None, selector
    return [box["x"], box["y"] + box["height"], box["width"], box["height"]]


def chats(server: Served) -> list[dict[str, Any]]:
    return list(server.client.get(CHATS).raise_for_status().json()["data"])


def test_text_and_caret_arrive_each_in_its_own_tab(browser: Browser, model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path) as page, tab(browser, page.home, color_scheme="dark") as user:
        user.page.goto(page.home)
        other = user.page.context.new_page()
        other.goto(page.home)
        written(other, "In the other tab.")

        user.page.bring_to_front()
        assert user.page.evaluate("getComputedStyle(document.querySelector('#first')).backgroundColor") == DARK
        expect(user.page.locator("#first").get_by_role("status")).to_have_text("Starting…")
        before = place(user.page, ".first-field")
        written(user.page, "One")
        user.page.keyboard.press("Shift+Enter")
        user.page.keyboard.type("three")
        user.page.keyboard.press("Home")
        page.build()
        for letter in "two and ":
            user.page.keyboard.type(letter)
            user.page.wait_for_timeout(200)  # it comes while this is typed, or later
        arrived(user)
        expect(user.page.locator("#ask textarea")).to_have_value("One\ntwo and three")
        assert user.page.evaluate(CARET) == [True, len("One\ntwo and ")]
        user.page.keyboard.type("a half, ")
        expect(user.page.locator("#ask textarea")).to_have_value("One\ntwo and a half, three")
        assert user.pages == 1  # nothing was loaded anew
        assert user.page.evaluate("getComputedStyle(document.body).backgroundColor") == DARK

        user.page.locator("#ask textarea").fill("")
        expect(user.page.locator("#context")).to_contain_text("tokens")
        for found, wanted in zip(place(user.page, "#ask .full-container"), before, strict=True):
            assert abs(found - wanted) <= 2, (before, place(user.page, "#ask .full-container"))

        other.bring_to_front()
        expect(other.locator("#ask textarea")).to_have_value("In the other tab.")
        other.close()
        user.open()
        expect(user.page.locator("#ask textarea")).to_have_value("")  # nothing is left of it


def test_an_early_question_is_sent_once(browser: Browser, model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path) as page, tab(browser, page.home) as user:
        told, text = user.page.locator("#first-state"), user.page.locator("#first-text")
        user.page.goto(page.home)
        user.page.keyboard.press("Enter")
        expect(told).to_have_text("Starting…")  # nothing is asked
        written(user.page, "Hello")
        user.page.keyboard.press("Enter")
        expect(told).to_contain_text("sent as soon as the page is ready")
        user.page.keyboard.press("Escape")
        expect(told).to_have_text("Starting…")
        user.page.keyboard.press("Enter")
        user.page.keyboard.type("!")
        expect(told).to_have_text("Starting…")
        user.page.keyboard.press("Enter")
        user.page.reload()
        expect(text).to_have_value("Hello!")
        expect(told).to_contain_text("sent as soon as the page is ready")
        user.page.goto(page.home)  # who comes again has not pressed it
        expect(text).to_have_value("Hello!")
        expect(told).to_have_text("Starting…")
        user.page.get_by_role("button", name="Send when the page is ready").click()
        expect(told).to_contain_text("sent as soon as the page is ready")

        page.build()
        arrived(user)
        chat = chat_of(user.page)
        expect(answers(user.page)).to_have_count(1)
        until_idle(user.page)
        expect(questions(user.page)).to_have_text(["Hello!"])
        expect(user.page.locator("#ask textarea")).to_have_value("")
        user.page.reload()
        arrived(user)
        expect(answers(user.page)).to_have_count(1)
        ask(user.page, "And again.")
        expect(questions(user.page)).to_have_text(["Hello!", "And again."])
        until_idle(user.page)
        assert [each["id"] for each in chats(page.server)] == [chat]
        roles = [each["role"] for each in stored(page.server.client, chat)["messages"]]
        assert roles == ["user", "assistant"] * 2


def test_over_a_page_that_is_still_drawn(browser: Browser, demo: Served) -> None:
    """Gradio's scripts are late: its document has a field already, and what is asked there goes to its chat."""
    home, chat = str(demo.client.base_url).rstrip("/"), quick(demo.client)
    with tab(browser, home) as user:
        late: list[Route] = []
        user.page.route("**/assets/index-*.js", lambda route: late.append(route))
        user.page.goto(f"{home}/?chat={chat}", wait_until="commit")
        written(user.page, "Who are you?")
        user.page.reload(wait_until="commit")
        expect(user.page.locator("#first-text")).to_have_value("Who are you?")
        user.page.keyboard.press("Enter")
        user.page.unroute("**/assets/index-*.js")
        expect(questions(user.page)).to_have_text(["Hello.", "Who are you?"])
        expect(answers(user.page)).to_have_count(2)
        until_idle(user.page)
        assert len(stored(demo.client, chat)["messages"]) == 4


def test_what_it_says_is_read_out_once(browser: Browser, demo: Served) -> None:
    """Programs that read a page out do so whenever its status is written, also with the same words."""
    home = str(demo.client.base_url).rstrip("/")
    with tab(browser, home) as user:
        late: list[Route] = []
        user.page.route("**/assets/index-*.js", lambda route: late.append(route))
        user.page.goto(home, wait_until="commit")
        written(user.page, "H")
        user.page.evaluate(WATCH)
        user.page.keyboard.type("ello")
        user.page.keyboard.press("Enter")
        expect(user.page.locator("#first-state")).to_contain_text("sent as soon as")
        assert user.page.evaluate("window.told") == ["This is sent as soon as the page is ready. Esc takes it back."]


def test_no_input_method_is_cut_off_and_no_focus_taken(browser: Browser, demo: Served) -> None:
    """A word that is still being composed holds the field; who has gone elsewhere meanwhile is left there."""
    home = str(demo.client.base_url).rstrip("/")
    with tab(browser, home) as user:
        late: list[Route] = []
        user.page.route("**/assets/index-*.js", lambda route: late.append(route))
        user.page.goto(home, wait_until="commit")
        written(user.page, "Now ")
        user.page.context.new_cdp_session(user.page).send(
            "Input.imeSetComposition", {"text": "に", "selectionStart": 1, "selectionEnd": 1}
        )
        user.page.unroute("**/assets/index-*.js")
        expect(user.page.locator("#context")).to_contain_text("tokens")  # the page is there
        user.page.wait_for_timeout(1000)  # and would have its text
        expect(user.page.locator("#first-text")).to_be_focused()
        user.page.locator("#find").click()
        arrived(user)
        expect(user.page.locator("#ask textarea")).to_have_value("Now に")
        expect(user.page.locator("#find")).to_be_focused()


def test_a_chat_that_is_not_here_is_not_asked(browser: Browser, demo: Served) -> None:
    """Nor is another one asked in its place: the question stays."""
    home = str(demo.client.base_url).rstrip("/")
    with tab(browser, home) as user:
        late: list[Route] = []
        user.page.route("**/assets/index-*.js", lambda route: late.append(route))
        user.page.goto(f"{home}/?chat=none", wait_until="commit")
        before = len(chats(demo))
        written(user.page, "Is anybody here?")
        user.page.keyboard.press("Enter")
        user.page.unroute("**/assets/index-*.js")
        arrived(user)
        expect(user.page.get_by_text("This chat is not here").first).to_be_visible()
        expect(user.page.locator("#ask textarea")).to_have_value("Is anybody here?")
        assert len(chats(demo)) == before


def test_who_may_not_chat_sees_the_login_only(browser: Browser, model: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "home", "anna")
    with serving(model, tmp_path, "--auth") as page, tab(browser, page.home) as user:
        refused = page.server.client.get("/", headers=HTML)
        assert refused.status_code == 401 and "first-text" not in refused.text and "no-store" in str(refused.headers)
        user.page.goto(page.home)
        user.page.get_by_label("API key").fill(key)
        user.page.get_by_role("button", name="Log in").click()
        written(user.page, "It is me.")
        page.build()
        arrived(user)
        expect(user.page.locator("#ask textarea")).to_have_value("It is me.")
        user.wrong.clear()  # the login page itself is a 401


def test_programs_wait_and_other_addresses_too(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path) as page:
        first = page.server.client.get("/", headers=HTML)
        assert first.status_code == 200 and first.headers["cache-control"] == "no-store" and "first-text" in first.text
        assert "default-src 'self'" in first.headers["content-security-policy"]
        icon = page.server.client.get("/favicon.ico", timeout=10)
        assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml"), icon.text
        found: dict[str, httpx.Response] = {}

        def read(line: str) -> None:
            method, path = line.split()
            found[line] = httpx.request(method, page.home + path, timeout=120)

        lines = ("GET /", "HEAD /", "GET /config", "GET /gradio_api/startup-events")
        asking = [threading.Thread(target=read, args=(line,)) for line in lines]
        for each in asking:
            each.start()
        asking[0].join(0.5)
        assert not found
        assert page.server.client.get("/v1/models").status_code == 200
        assert page.server.client.post("/").status_code in (404, 405)
        page.build()
        for each in asking:
            each.join()
        assert {line: reply.status_code for line, reply in found.items()} == dict.fromkeys(lines, 200)
        assert "gradio-app" in found["GET /"].text


def test_a_page_that_cannot_be_built(browser: Browser, model: Path, tmp_path: Path) -> None:
    """It says so, as it does to who comes later, and what was written stays."""
    with serving(model, tmp_path) as page, tab(browser, page.home) as user:
        user.page.goto(page.home)
        written(user.page, "Is anybody here?")
        page.fail()
        expect(user.page.get_by_role("alert")).to_contain_text("The page cannot be shown")
        expect(user.page.locator("#first-text")).to_have_value("Is anybody here?")
        for headers in (HTML, {}):
            reply = page.server.client.get("/", headers=headers)
            assert reply.status_code == 503 and "The page cannot be shown" in reply.text
        user.wrong.clear()  # the 503 that it was
    assert "Gradio is broken." in "".join(page.server.log)


def test_a_page_that_does_not_come_up(browser: Browser, model: Path, tmp_path: Path) -> None:
    """Building it may take long; it is given up a minute after its document has come."""
    with serving(model, tmp_path) as page, tab(browser, page.home) as user:
        late: list[Route] = []
        user.page.route("**/assets/index-*.js", lambda route: late.append(route))
        user.page.clock.install()
        user.page.goto(page.home)
        written(user.page, "Is anybody here?")
        user.page.clock.fast_forward(70_000)
        page.build()
        expect(user.page.locator("gradio-app")).to_have_count(1)
        user.page.clock.run_for(1000)
        expect(user.page.locator("#first-state")).to_have_text("Starting…")
        user.page.clock.fast_forward(61_000)
        expect(user.page.get_by_role("alert")).to_contain_text("Reload it")
        expect(user.page.locator("#first-text")).to_have_value("Is anybody here?")


def test_a_server_that_ends_meanwhile(browser: Browser, model: Path, tmp_path: Path) -> None:
    """It does not wait for its page, nor for who waits for that; what was written stays."""
    with serving(model, tmp_path) as page, tab(browser, page.home) as user:
        user.page.goto(page.home)
        written(user.page, "Is anybody here?")
        user.page.evaluate(WATCH)
        page.server.process.terminate()
        assert page.server.process.wait(30) == 0
        expect(user.page.get_by_role("alert")).to_have_text("The server does not answer.")
        assert "cannot be shown" not in " ".join(user.page.evaluate("window.told"))
        expect(user.page.locator("#first-text")).to_have_value("Is anybody here?")
        user.wrong.clear()  # that it could not be reached


def test_a_proxy_that_loses_patience(browser: Browser, model: Path, tmp_path: Path) -> None:
    """What it shows is a document of its own; the page is asked for again."""
    with serving(model, tmp_path) as page, tab(browser, page.home) as user:

        def proxy(route: Route) -> None:
            if route.request.is_navigation_request():
                route.continue_()
            else:
                route.fulfill(status=504, content_type="text/html", body="<html><h1>Gateway Timeout</h1></html>")

        user.page.route(f"{page.home}/", proxy)
        user.page.goto(page.home)
        written(user.page, "Still here.")
        expect(user.page.get_by_role("alert")).to_contain_text("is not the page (status 504)")
        user.page.unroute(f"{page.home}/")
        page.build()
        arrived(user)
        expect(user.page.locator("#ask textarea")).to_have_value("Still here.")
        user.wrong.clear()  # the 504 that it was


def test_without_scripts_it_says_so(browser: Browser, model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path) as page, tab(browser, page.home, java_script_enabled=False) as user:
        told = user.page.locator("noscript p")  # no text in there is found by Playwright
        user.page.goto(page.home)
        expect(told).to_be_visible()
        expect(user.page.locator("gradio-app")).to_have_count(0)
        page.build()
        page.server.client.get("/").raise_for_status()
        user.page.reload()
        expect(user.page.locator("gradio-app")).to_have_count(1)
        expect(told).to_be_visible()


def test_the_page_alone_has_it_too(browser: Browser, model: Path, tmp_path: Path) -> None:
    with served(model, tmp_path / "server") as server:
        api = str(server.client.base_url).rstrip("/")
        with held(tmp_path / "page", "page", "--api", api, "--no-open") as page, tab(browser, page.home) as user:
            user.page.goto(page.home)
            written(user.page, "From the page alone.")
            page.build()
            arrived(user)
            expect(user.page.locator("#ask textarea")).to_have_value("From the page alone.")


def test_a_login_does_not_wait_for_gradio(model: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "home", "anna")
    with serving(model, tmp_path, "--auth") as page:
        assert log_in(page.server.client, key).status_code == 303
        assert "first-text" in page.server.client.get("/", headers=HTML).text


def test_the_way_in_needs_no_gradio() -> None:
    line = "import sys, ggufrun.ui.entrance; sys.exit('gradio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
