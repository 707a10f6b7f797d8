"""Branches of a chat in a real browser: a question edited, an answer made anew, and the way back."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.api.served import Served
from tests.ui.browser import Tab
from tests.ui.late import late
from tests.ui.talking import (
    CHATS,
    ENDLESS,
    LONG,
    SHORT,
    answers,
    ask,
    endless,
    imported,
    opened,
    questions,
    quick,
    stop,
    stored,
    until_idle,
    until_running,
)


def edit(page: Page, row: int, text: str) -> None:
    page.get_by_role("button", name="Edit").nth(row).click()
    page.locator("#said textarea").fill(text)
    page.locator("#said").get_by_role("button", name="Submit").click()


def test_an_edited_question_is_a_branch(user: Tab, demo: Served) -> None:
    chat = quick(demo.client)
    page = opened(user, chat)
    ask(page, "What is two and two?")
    expect(answers(page)).to_have_count(2)
    until_idle(page)
    edit(page, 0, "Good evening.\n\n    indented")
    expect(questions(page)).to_have_count(1)
    expect(questions(page)).to_contain_text("Good evening.")
    expect(answers(page)).to_have_count(1)
    until_idle(page)
    messages = stored(demo.client, chat)["messages"]
    assert [each["content"] for each in messages if each["parent"] is None] == [
        "Hello.",
        "Good evening.\n\n    indented",
    ]
    place = page.locator(".branch")
    expect(place).to_have_text("‹2/2›")
    expect(page.get_by_role("button", name="Next version")).to_be_disabled()
    page.get_by_role("button", name="Previous version").click()
    expect(questions(page)).to_have_text(["Hello.", "What is two and two?"])
    expect(place).to_have_text("‹1/2›")
    page.reload()
    expect(questions(page)).to_have_text(["Hello.", "What is two and two?"])
    page.get_by_role("button", name="Next version").click()
    expect(questions(page)).to_have_count(1)
    user.wrong.clear()  # of the reload


def test_an_answer_made_anew_stands_beside_the_old_one(user: Tab, demo: Served) -> None:
    chat = quick(demo.client)
    page = opened(user, chat)
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".branch")).to_have_text("‹2/2›")
    expect(answers(page)).to_have_count(1)
    messages = stored(demo.client, chat)["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "assistant"]
    assert messages[1]["parent"] == messages[2]["parent"] == messages[0]["id"]
    page.get_by_role("button", name="Previous version").click()
    expect(answers(page)).to_have_text(["Hello!"])
    ask(page, "Go on.")
    expect(answers(page)).to_have_count(2)
    assert stored(demo.client, chat)["messages"][3]["parent"] == messages[1]["id"], "below what is shown"


def test_nothing_else_is_begun_while_an_answer_comes(user: Tab, demo: Served) -> None:
    chat = endless(demo.client)
    page = opened(user, chat)
    held: list[Route] = []
    page.route("**/queue/join*", lambda route: held.append(route))
    with page.expect_request(lambda sent: "/queue/join" in sent.url and LONG in (sent.post_data or "")):
        ask(page, LONG)
    page.locator("#ask textarea").fill("And another.")  # before the first is with the server
    for each in held:
        each.continue_()
    page.unroute("**/queue/join*")
    expect(page.locator("#ask .stop-button")).to_be_visible()
    page.locator("#ask textarea").press("Enter")
    expect(page.get_by_text("An answer is being written here.")).to_be_visible()
    expect(page.locator("#ask textarea")).to_have_value("And another.")
    page.locator("#ask .stop-button").click()
    until_idle(page)
    expect(page.locator("#ask textarea")).to_have_value("And another.")


def test_a_part_of_a_question_is_edited(user: Tab, demo: Served) -> None:
    file = {"type": "text", "text": "[file: notes.txt]\nSecret <b>plans</b>\n[end of file]"}
    question = {"role": "user", "content": [file, {"type": "text", "text": "What is it?"}]}
    chat = imported(demo.client, [question, {"role": "assistant", "content": "Plans."}], settings=SHORT)
    page = opened(user, chat)
    expect(page.locator("#said .thought-group")).to_contain_text("notes.txt")
    page.get_by_role("button", name="Edit").click()  # the file has none
    page.locator("#said textarea").fill("Whose is it?")
    page.locator("#said").get_by_role("button", name="Submit").click()
    expect(page.locator(".branch")).to_have_text("‹2/2›")
    until_idle(page)
    edited = [each for each in stored(demo.client, chat)["messages"] if each["parent"] is None][-1]
    assert edited["content"] == [file, {"type": "text", "text": "Whose is it?"}]


def test_an_edit_ends_with_its_chat(user: Tab, demo: Served) -> None:
    """Gradio would leave the box open, over the question that is in the same place of another chat."""
    first, second = quick(demo.client), quick(demo.client)
    page = opened(user, first)
    page.get_by_role("button", name="Edit").click()
    page.locator("#said textarea").fill("Good evening.")
    page.locator(f"#chats li[data-id='{second}'] .h-open").click()
    page.wait_for_url(f"**chat={second}*")
    expect(page.locator("#said textarea")).to_have_count(0)
    expect(questions(page)).to_have_text("Hello.")
    assert len(stored(demo.client, first)["messages"]) == len(stored(demo.client, second)["messages"]) == 2


def test_an_edit_stays_one_while_another_button_is_pressed(user: Tab, demo: Served) -> None:
    chat = quick(demo.client)
    page = opened(user, chat)
    page.get_by_role("button", name="Edit").click()
    page.locator("#said textarea").fill("Good evening.")
    page.locator("#said .message-row.bot-row + .message-buttons").get_by_role("button", name="Copy").click()
    page.locator("#said").get_by_role("button", name="Submit").click()
    expect(questions(page)).to_have_text("Good evening.")  # the browser's own doing
    expect(page.locator(".branch")).to_have_text("‹2/2›")  # the server's
    until_idle(page)
    assert "Good evening." in [each["content"] for each in stored(demo.client, chat)["messages"]]


@pytest.mark.parametrize("deed", ["Retry", "edit", "ask", "Previous version", "Stop"])
def test_what_is_done_as_another_chat_comes_is_not_done_there(user: Tab, demo: Served, deed: str) -> None:
    """What the browser asks for reaches the server when that has turned to another chat."""
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Good day.", "parent": None},
        {"role": "assistant", "content": "Good day!"},
    ]
    first = imported(demo.client, said, settings=ENDLESS if deed == "Stop" else SHORT)
    second = endless(demo.client) if deed == "Stop" else quick(demo.client)
    page = opened(user, first)
    if deed == "Stop":
        ask(page, "Go on.")
        until_running(page)
        run = stored(demo.client, first)["run"]
        demo.client.post(f"{CHATS}/{second}/runs", json={"message": {"content": "And you."}}).raise_for_status()
    before = [stored(demo.client, each)["messages"] for each in (first, second)]
    with late(page, words='"opens"') as arrives:
        match deed:
            case "edit":
                edit(page, 0, "Good evening.")
            case "ask":
                ask(page, "What is two and two?")
            case "Stop":
                page.locator("#ask .stop-button").click()
            case _:
                page.get_by_role("button", name=deed).click()
    page.locator(f"#chats li[data-id='{second}'] .h-open").click()
    page.wait_for_url(f"**chat={second}*")
    arrives()
    if deed == "Stop":
        for _ in range(300):
            if stored(demo.client, first)["run"] is None:
                break
            page.wait_for_timeout(100)
        assert run and stored(demo.client, first)["run"] is None and stored(demo.client, second)["run"] is not None
        stop(page)
        return
    expect(page.get_by_text("That chat is not open any more: nothing was changed.")).to_be_visible()
    until_idle(page)
    expect(questions(page)).to_have_text("Hello.")
    assert [stored(demo.client, each)["messages"] for each in (first, second)] == before
