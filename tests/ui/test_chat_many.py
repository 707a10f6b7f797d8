"""Eight browsers at once: each user gets the answer to their own question, in their own chat."""

from contextlib import ExitStack

from playwright.sync_api import Browser, expect

from tests.api.served import Served
from tests.ui.browser import tab
from tests.ui.talking import SHORT, answers, ask, imported, questions, stored, until_idle

USERS = 8


def test_eight_users_at_once(browser: Browser, demo: Served) -> None:
    home = str(demo.client.base_url).rstrip("/")
    settings = {"sampling": {**SHORT["sampling"], "max_tokens": 40}}
    with ExitStack() as stack:
        users = [stack.enter_context(tab(browser, home)) for _ in range(USERS)]
        chats = [
            imported(demo.client, [{"role": "user", "content": f"I am number {number}."}], settings=settings)
            for number in range(USERS)
        ]
        for user, chat in zip(users, chats, strict=True):
            user.open(f"/?chat={chat}")
            expect(questions(user.page)).to_have_count(1)
        for number, user in enumerate(users):
            ask(user.page, f"Tell me about the number {number}.")
        for number, (user, chat) in enumerate(zip(users, chats, strict=True)):
            expect(answers(user.page)).to_have_count(1)
            until_idle(user.page)
            asked = [f"I am number {number}.", f"Tell me about the number {number}."]
            expect(questions(user.page)).to_have_text(asked)
            messages = stored(demo.client, chat)["messages"]
            assert [each["content"] for each in messages[:-1]] == asked
            shown = answers(user.page).inner_text().split()
            assert shown[:3] == messages[-1]["content"].split()[:3]
