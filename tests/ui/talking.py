"""The chat as a user handles it: what stands where, and waits with an end."""

import re
from typing import Any, Final

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.ui.browser import Tab

CHATS: Final = "/ggufrun/v1/chats"
LONG: Final = "Tell me a long story."
SHORT: Final = {"sampling": {"max_tokens": 8, "temperature": 0}}
ENDLESS: Final = {"sampling": {"min_tokens": 4000, "temperature": 0}}


def opened(user: Tab, chat: str) -> Page:
    """The page, loaded anew with that chat. What Gradio says of the streams that this cuts is not looked at."""
    user.open(f"/?chat={chat}")
    expect(questions(user.page).first).to_be_visible()
    cut = ("abort", "errored out", "error 404")
    user.wrong[:] = [each for each in user.wrong if not any(words in each.lower() for words in cut)]
    return user.page


def ask(page: Page, text: str) -> None:
    page.locator("#ask textarea").fill(text)
    page.locator("#ask textarea").press("Enter")


def questions(page: Page) -> Locator:
    return page.locator("#said [data-testid=user]")


def answers(page: Page) -> Locator:
    """Those that are finished."""
    return page.locator("#said [data-testid=bot]")


def running(page: Page) -> Locator:
    """The answer that comes."""
    return page.locator("#running [data-testid=bot]")


def until_running(page: Page) -> None:
    """Some of it is there."""
    expect(running(page).last).to_contain_text(re.compile(r"\w"))


def until_idle(page: Page) -> None:
    expect(page.locator("#running .message-row")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def stop(page: Page) -> None:
    page.locator("#ask .stop-button").click()
    until_idle(page)


def chat_of(page: Page) -> str:
    """The id that the address has."""
    page.wait_for_url(re.compile(r"[?&]chat=\w+"))
    found = re.search(r"[?&]chat=(\w+)", page.url)
    assert found is not None
    return found[1]


def stored(client: httpx.Client, chat: str) -> dict[str, Any]:
    return dict(client.get(f"{CHATS}/{chat}").raise_for_status().json())


def imported(client: httpx.Client, messages: list[dict[str, Any]], **chat: Any) -> str:
    """A chat with these messages, each below the one before where it names no other."""
    numbered = [
        {"id": str(number), "parent": str(number - 1) if number else None, **message}
        for number, message in enumerate(messages)
    ]
    body = {"format": "ggufrun-chat", "version": 1, "title": "imported", "messages": numbered, **chat}
    reply = client.post(f"{CHATS}/import", json=body)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


def endless(client: httpx.Client) -> str:
    """A chat whose next answer goes on until it is stopped."""
    said = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello!"}]
    return imported(client, said, settings=ENDLESS)


def quick(client: httpx.Client) -> str:
    """A chat with a question and an answer, whose further answers are short."""
    said = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello!"}]
    return imported(client, said, settings=SHORT)
