"""Eight browsers at once, each with a key of its own: each user gets the answer to their own question, and no other."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.api.served import Served, served
from tests.ui.browser import tab
from tests.ui.keyed import make_key
from tests.ui.talking import SHORT, answers, ask, imported, questions, stored, until_idle

USERS = 8


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def keys(home: Path) -> list[str]:
    return [make_key(home, f"user{number}") for number in range(USERS)]


@pytest.fixture(scope="module")
def keyed(demo_path: Path, home: Path, keys: list[str]) -> Iterator[Served]:
    with served("demo", home, page=True) as server:
        yield server


def test_eight_users_at_once(browser: Browser, keyed: Served, keys: list[str]) -> None:
    address = str(keyed.client.base_url).rstrip("/")
    settings = {"sampling": {**SHORT["sampling"], "max_tokens": 12}}
    with ExitStack() as stack:
        users = [stack.enter_context(tab(browser, address)) for _ in keys]
        clients = [
            stack.enter_context(httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60))
            for key in keys
        ]
        chats = [
            imported(client, [{"role": "user", "content": f"I am number {number}."}], settings=settings)
            for number, client in enumerate(clients)
        ]
        for user, key, chat in zip(users, keys, chats, strict=True):
            user.page.request.post(f"{address}/login", form={"key": key})
            user.open(f"/?chat={chat}")
            expect(questions(user.page)).to_have_count(1)
        for number, user in enumerate(users):
            ask(user.page, f"Tell me about the number {number}.")
        for number, (user, client, chat) in enumerate(zip(users, clients, chats, strict=True)):
            expect(answers(user.page)).to_have_count(1)
            until_idle(user.page)
            asked = [f"I am number {number}.", f"Tell me about the number {number}."]
            expect(questions(user.page)).to_have_text(asked)
            messages = stored(client, chat)["messages"]
            assert [each["content"] for each in messages[:-1]] == asked
            shown = answers(user.page).inner_text().split()
            assert shown[:3] == messages[-1]["content"].split()[:3]
            assert [each["id"] for each in client.get("/ggufrun/v1/chats").json()["data"]] == [chat]
            others = chats[:number] + chats[number + 1 :]
            assert {client.get(f"/ggufrun/v1/chats/{other}").status_code for other in others} == {404}
