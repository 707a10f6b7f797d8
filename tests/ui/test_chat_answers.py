"""Asking and answering in a real browser, with the demo model: an answer is the server's, not the page's."""

import re

from playwright.sync_api import Browser, expect

from tests.api.served import Served
from tests.ui.browser import Tab, tab
from tests.ui.talking import (
    LONG,
    SHORT,
    answers,
    ask,
    chat_of,
    endless,
    imported,
    opened,
    questions,
    quick,
    running,
    stop,
    stored,
    until_idle,
    until_running,
)


def test_from_the_first_question_to_its_answer(user: Tab, demo: Served) -> None:
    page = user.page
    expect(page.locator("#said")).to_contain_text("What shall we talk about?")
    ask(page, "Say hello.")
    expect(questions(page)).to_have_text(["Say hello."])
    expect(page.locator("#ask textarea")).to_have_value("")
    expect(answers(page)).to_have_count(1)
    until_idle(page)
    chat = stored(demo.client, chat_of(page))
    assert chat["title"] == "Say hello." and chat["messages"][-1]["meta"]["model"] == "demo"
    expect(answers(page)).to_contain_text(chat["messages"][-1]["content"].split()[0])
    meter = page.locator("#meter")
    expect(meter).to_contain_text(re.compile(r"tokens/s.*first after \d"))


def test_stop_keeps_what_there_is_and_one_can_go_on(user: Tab, demo: Served) -> None:
    chat = endless(demo.client)
    page = opened(user, chat)
    ask(page, LONG)
    until_running(page)
    expect(page.locator("#meter")).to_contain_text(re.compile(r"\d+ tokens · [\d.]+ tokens/s · \d+ of 8,192"))
    stop(page)
    cut = stored(demo.client, chat)["messages"][-1]
    assert cut["meta"]["state"] == "stopped" and cut["content"]
    expect(answers(page)).to_have_count(2)
    expect(page.locator("#meter")).to_contain_text(re.compile(r"\d+ tokens · [\d.]+ tokens/s"))
    page.get_by_role("button", name="Go on with this answer").click()
    expect(running(page)).to_contain_text(cut["content"].split()[0])
    expect(answers(page)).to_have_count(1)
    expect(page.locator("#meter")).to_contain_text(re.compile(r"\d+ tokens ·"))
    stop(page)
    longer = stored(demo.client, chat)["messages"]
    assert len(longer) == 4 and longer[-1]["content"].startswith(cut["content"])
    assert len(longer[-1]["content"]) > len(cut["content"])


def test_a_reload_attaches_and_so_does_a_second_tab(user: Tab, demo: Served) -> None:
    chat = endless(demo.client)
    page = opened(user, chat)
    ask(page, LONG)
    until_running(page)
    expect(page.locator("#ask textarea")).to_have_value("")
    before = running(page).inner_text()
    opened(user, chat)
    until_running(page)
    expect(questions(page)).to_have_text(["Hello.", LONG])
    assert len(running(page).inner_text()) >= len(before)
    other = page.context.new_page()  # as a second tab of the same browser
    other.goto(page.url)
    until_running(other)
    stop(other)
    until_idle(page)
    expect(answers(page)).to_have_count(2)
    assert stored(demo.client, chat)["messages"][-1]["meta"]["state"] == "stopped"
    demo.client.patch(f"/ggufrun/v1/chats/{chat}", json={"settings": SHORT}).raise_for_status()
    other.reload()
    expect(answers(other)).to_have_count(2)
    ask(other, "Say hello.")
    expect(answers(other)).to_have_count(3)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(questions(page)).to_have_text(["Hello.", LONG, "Say hello."])
    other.close()


def test_another_chat_is_opened_while_one_is_answered(user: Tab, demo: Served) -> None:
    chat = endless(demo.client)
    page = opened(user, chat)
    ask(page, LONG)
    until_running(page)
    page.locator("#new").click()
    until_idle(page)
    expect(questions(page)).to_have_count(0)
    expect(page).not_to_have_url(re.compile("chat="))
    assert stored(demo.client, chat)["run"] is not None, "only Stop ends it"
    ask(page, "Say hello.")
    expect(questions(page)).to_have_text(["Say hello."])
    assert chat_of(page) != chat
    stop(page)
    opened(user, chat)
    until_running(page)
    stop(page)


def test_what_is_refused_keeps_the_text(user: Tab, demo: Served) -> None:
    page = user.page
    ask(page, "word " * 9000)
    expect(page.get_by_text("The prompt has")).to_be_visible()
    assert page.locator("#ask textarea").input_value().startswith("word word")
    expect(questions(page)).to_have_count(0)
    expect(page).not_to_have_url(re.compile("chat="))
    assert not [each for each in demo.client.get("/ggufrun/v1/chats").json()["data"] if each["head"] is None]
    page.locator("#ask textarea").fill("")


def test_a_failed_answer_is_tried_again(user: Tab, demo: Served) -> None:
    failed = {"role": "assistant", "content": "So f", "meta": {"state": "failed", "error": {"message": "It broke."}}}
    page = opened(user, imported(demo.client, [{"role": "user", "content": "Hello."}, failed], settings=SHORT))
    expect(answers(page)).to_have_text(["So f", "The answer failed. It broke."])
    page.get_by_role("button", name="Answer this anew").click()
    expect(page.locator("#said")).not_to_contain_text("It broke.")
    expect(answers(page)).to_have_count(1)
    expect(page.locator(".branch")).to_have_text("‹2/2›")


def test_a_worker_that_dies(user: Tab, demo: Served) -> None:
    page = opened(user, endless(demo.client))
    ask(page, LONG)
    until_running(page)
    demo.worker().kill()
    expect(answers(page).last).to_contain_text("The answer failed.")
    until_idle(page)
    page = opened(user, quick(demo.client))
    ask(page, "Say hello.")
    expect(answers(page)).to_have_count(2)


def test_a_chat_that_is_gone(browser: Browser, demo: Served) -> None:
    with tab(browser, str(demo.client.base_url).rstrip("/")) as user:
        user.open("/?chat=none")
        expect(user.page.get_by_text("This chat is not here")).to_be_visible()
        expect(user.page).not_to_have_url(re.compile("chat="))
        expect(user.page.locator("#said")).to_contain_text("What shall we talk about?")
