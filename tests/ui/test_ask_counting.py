"""What the page asks the server to count, with the real application: the files once, and the branch that is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from ggufrun.chat.types import AnyRequest, TextRequest
from ggufrun.remote_errors import RemoteLacks
from ggufrun.ui.ask import counting
from ggufrun.ui.ask.content import content_of, title_of
from ggufrun.ui.ask.context import _asking
from ggufrun.ui.ask.counting import Asking, Count, count
from ggufrun.ui.ask.files import as_part
from ggufrun.ui.ask.known import KnownFiles
from ggufrun.ui.ask.meter import Used, line
from ggufrun.ui.chat.conversation import Conversation
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.client import Api
from ggufrun.ui.settings.tab_settings import TabSettings
from tests.api.chatting import CHATS, Chatting, SteppedModel, chatting

pytestmark = pytest.mark.process


class Wire(Api):
    """The page's client over the application's, and what it has sent."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.sent: list[httpx.Request] = []

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        reply = await self._client.request(method, path, **more)
        self.sent.append(reply.request)
        return reply.raise_for_status().json()


async def characters(_: SteppedModel, request: AnyRequest) -> tuple[int, ...]:
    """A token for each, and one between two parts."""
    if isinstance(request, TextRequest):
        return tuple(map(ord, request.prompt)) if isinstance(request.prompt, str) else request.prompt
    texts = (each.content for each in request.messages)
    return tuple(map(ord, "".join(each if isinstance(each, str) else "|".join(_texts(each or ())) for each in texts)))


def _texts(parts: Sequence[Any]) -> list[str]:
    return [part.text for part in parts]


@pytest.fixture(autouse=True)
def counted_by_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SteppedModel, "tokens", characters)
    monkeypatch.setattr(counting, "_KNOWN", KnownFiles())


def used(found: Count) -> tuple[int | None, bool]:
    assert found.used is not None and not found.wrong
    return found.used.count, found.used.about


async def test_files_are_sent_to_be_counted_once(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("x" * 5000)
    other.write_text("y" * 7000)
    async with chatting(tmp_path) as chats:
        api = Wire(chats.client)

        async def asked(text: str, *paths: Path) -> tuple[tuple[int | None, bool], tuple[int | None, bool], int]:
            """What is said, what is true, and how much was sent."""
            value = {"text": text, "files": list(map(str, paths))}
            before = len(api.sent)
            said = used(await count(api, Asking(value, "", {}, "")))
            size = sum(len(each.content) for each in api.sent[before:])
            body = {"message": {"content": await content_of(value)}}
            true = (await chats.client.post(f"{CHATS}/count", json=body)).json()["count"]
            return said, (true, False), size

        first, true, size = await asked("What", path)
        assert first == true and size > 5000
        again, true, size = await asked("What", path)
        assert again == true and size < 1000  # the same question is not counted anew
        typed, (exact, _), size = await asked("What is in it?", path)
        assert typed == (exact, True) and size < 1000
        assert "about 5," in line((await count(api, Asking({"text": "hm", "files": [str(path)]}, "", {}, ""))).used, "")
        both, true, size = await asked("What is in it?", path, other)
        assert both == true and size > 12_000
        path.write_text("x" * 50)
        changed, true, _ = await asked("What is in it?", path)
        assert changed == true


async def test_near_the_end_of_the_context_the_count_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * 30)  # with what stands around it about 60 of 100
    async with chatting(tmp_path) as chats:
        api = Wire(chats.client)
        said = [
            used(await count(api, Asking({"text": "y" * size, "files": [str(path)]}, "", {}, "")))
            for size in (1, 2, 35, 36, 90)
        ]
        assert [about for _, about in said] == [False, True, False, False, True]


async def test_an_engine_elsewhere_that_counts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lacking(model: SteppedModel, request: AnyRequest) -> tuple[int, ...]:
        raise RemoteLacks("played", "an engine", "what a prompt's tokens are", "messages")

    monkeypatch.setattr(SteppedModel, "tokens", lacking)
    path = tmp_path / "a.txt"
    path.write_text("x" * 50)
    async with chatting(tmp_path) as chats:
        found = await count(Wire(chats.client), Asking({"text": "Hi", "files": [str(path)]}, "", {}, ""))
    assert used(found) == (None, False)
    assert "played is answered elsewhere, by an engine that does not count this" in line(found.used, "")
    assert "Its context holds 100." in line(found.used, "")
    assert "played is not loaded: tokens are counted once it is." in line(Used("played", None, 0), "")


def test_a_context_that_nobody_knows_is_never_full() -> None:
    shown = line(Used("fast", 7, 0, loaded=True), "")
    assert "7 tokens; fast has no known limit" in shown and "alert" not in shown and "<b>0" not in shown


async def test_the_branch_that_this_tab_shows_is_counted(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id, tab = await two_branches(chats)
        api, shown = Wire(chats.client), _asking({"text": "next"}, id, TabSettings(), "", tab)
        counts = [used(await count(api, each))[0] for each in (shown, Asking({"text": "next"}, id, {}, ""))]
        assert counts == [len("long" * 9 + "fine" + "next"), len("short" + "fine" + "next")]
        found = await count(api, shown, exchanges=True)
        assert [each["id"] for each in found.exchanges] == [tab.conversation.branch[0].id]
        assert _asking({"text": "next"}, "another", TabSettings(), "", tab).head is None


async def two_branches(chats: Chatting) -> tuple[str, Tab]:
    """The tab shows the first, the chat the second."""
    id = await chats.chat()
    answer = await chats.answered(id, "long" * 9)
    tab = Tab()
    tab.show(Conversation.of(await chats.read(id)))
    await chats.answered(id, message={"content": "short", "sibling_of": answer["parent"]})
    return id, tab


def test_a_chat_that_begins_with_a_file_is_called_as_its_question() -> None:
    file, text = as_part("notes.txt", "all the notes"), {"type": "text", "text": " \nWhat is in it?\nAnd why?"}
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    assert title_of([file, image, text]) == "What is in it?"
    assert title_of([image, file]) == "notes.txt"
    assert title_of([image]) == title_of("[file: a]\nb\n[end of file]") == ""
    assert title_of([file, {"type": "text", "text": "x" * 99}]) == "x" * 60 + "…"
