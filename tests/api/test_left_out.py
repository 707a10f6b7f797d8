"""What stays in a chat and is not sent to the model."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ggufrun.chat.types import AnyRequest, TextRequest
from tests.api.chatting import CHATS, Chatting, SteppedModel, chatting, says
from tests.api.test_runs import asked

pytestmark = pytest.mark.process
FILE = [{"type": "text", "text": "a long file"}, {"type": "text", "text": "What is in it?"}]


async def two_exchanges(chats: Chatting) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The chat and its two answers."""
    id = await chats.chat(settings={"system": "Be brief."})
    return id, await chats.answered(id, "one"), await chats.answered(id, "two")


async def leave_out(chats: Chatting, id: str, *ids: str) -> None:
    (await chats.client.patch(f"{CHATS}/{id}", json={"left_out": list(ids)})).raise_for_status()


async def test_other_settings_do_not_change_what_is_left_out(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id, first, _ = await two_exchanges(chats)
        await leave_out(chats, id, first["parent"])

        async def changed(**body: Any) -> Any:
            (await chats.client.patch(f"{CHATS}/{id}", json=body)).raise_for_status()
            return (await chats.read(id))["settings"]

        gone = [first["parent"]]
        assert await changed(settings={"sampling": {"top_k": 3}}) == {"sampling": {"top_k": 3}, "left_out": gone}
        assert await changed(left_out=["x"]) == {"sampling": {"top_k": 3}, "left_out": ["x"]}
        assert await changed(title="new") == {"sampling": {"top_k": 3}, "left_out": ["x"]}
        assert await changed(settings={"system": "s", "left_out": gone}) == {"system": "s", "left_out": gone}
        assert await changed(settings={}) == {"left_out": gone}
        wrong = await chats.client.patch(f"{CHATS}/{id}", json={"left_out": ["a"] * 5001})
        assert wrong.status_code == 422 and wrong.json()["param"].startswith("left_out")


async def test_settings_and_what_is_left_out_change_at_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat()
        for number in range(20):
            bodies: list[dict[str, Any]] = [{"left_out": [str(number)]}, {"settings": {"system": str(number)}}]
            await asyncio.gather(*(chats.client.patch(f"{CHATS}/{id}", json=body) for body in bodies))
            assert (await chats.read(id))["settings"] == {"left_out": [str(number)], "system": str(number)}


async def test_a_question_that_is_left_out_takes_its_answer_along(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id, first, second = await two_exchanges(chats)
        again = await chats.answered(id, parent=first["parent"])  # another branch, and what is below it
        await leave_out(chats, id, first["parent"])
        await chats.answered(id, "three", message={"content": "three", "parent": second["id"]})
        assert [text for _, text in asked(chats)] == ["Be brief.", "two", "fine", "three"]
        await chats.answered(id, message={"content": "four", "parent": again["id"]})
        assert [text for _, text in asked(chats)] == ["Be brief.", "four"]
        assert len((await chats.read(id))["messages"]) == 9
        await leave_out(chats, id)
        await chats.answered(id, message={"content": "three", "parent": second["id"]})
        assert [text for _, text in asked(chats)] == ["Be brief.", "one", "fine", "two", "fine", "three"]


async def test_an_import_that_an_answer_begins_is_split_as_the_page_does(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "7", "tool_call_id": "c1"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": FILE},
        {"role": "assistant", "content": "long"},
    ]
    messages = [{**each, "id": f"m{at}", "parent": f"m{at - 1}" if at else None} for at, each in enumerate(said)]
    file = {"format": "ggufrun-chat", "version": 1, "messages": messages}
    async with chatting(tmp_path) as chats:
        chat = (await chats.client.post(f"{CHATS}/import", json=file)).json()
        id, ids = chat["id"], [each["id"] for each in chat["messages"]]
        for gone, roles in (
            ([ids[0]], ["user", "assistant", "user", "assistant"]),  # no result without its call
            ([ids[3]], ["assistant", "tool", "user", "assistant"]),  # no two questions one after the other
            ([f"{ids[4]}#0", f"{ids[4]}#1"], ["assistant", "tool", "user", "assistant"]),  # no empty question
        ):
            await leave_out(chats, id, *gone)
            await chats.answered(id, message={"content": "next", "parent": ids[-1]})
            assert [role for role, _ in asked(chats)] == [*roles, "user"]


async def test_a_part_is_left_out_of_its_message(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat()
        first = await chats.answered(id, message={"content": FILE})
        await leave_out(chats, id, f"{first['parent']}#0", "0#0", "unknown")
        await chats.answered(id, "two")
        (part,) = asked(chats)[0][1]
        assert part.text == "What is in it?"


async def test_what_is_to_be_answered_cannot_be_left_out(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id, first, second = await two_exchanges(chats)
        await leave_out(chats, id, second["parent"])
        for body in ({"parent": second["parent"]}, {"continue": second["id"]}):
            reply = await chats.client.post(f"{CHATS}/{id}/runs", json=body)
            assert reply.status_code == 422 and reply.json()["param"] == "settings.left_out"
            assert "is left out" in reply.json()["message"]
        assert (await chats.answered(id, parent=first["parent"]))["content"] == "fine"


@pytest.mark.parametrize("wrong", [["a", 1], "a", ["x" * 101], ["a"] * 5001])
async def test_it_is_a_list_of_ids(tmp_path: Path, wrong: Any) -> None:
    async with chatting(tmp_path) as chats:
        reply = await chats.client.post(CHATS, json={"settings": {"left_out": wrong}})
        assert reply.status_code == 422 and reply.json()["param"].startswith("settings.left_out")


async def test_an_import_leaves_the_same_out(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id, first, _ = await two_exchanges(chats)
        await leave_out(chats, id, first["parent"], f"{first['id']}#0", "gone")
        file = (await chats.client.get(f"{CHATS}/{id}/export")).json()
        copy = (await chats.client.post(f"{CHATS}/import", json=file)).json()
        question, answer = copy["messages"][:2]
        assert copy["settings"] == {"system": "Be brief.", "left_out": [question["id"], f"{answer['id']}#0"]}
        await chats.answered(copy["id"], "three")
        assert [text for _, text in asked(chats)] == ["Be brief.", "two", "fine", "three"]


async def characters(_: SteppedModel, request: AnyRequest) -> tuple[int, ...]:
    """A token for each."""
    if isinstance(request, TextRequest):
        return tuple(map(ord, request.prompt)) if isinstance(request.prompt, str) else request.prompt
    return tuple(ord(each) for message in request.messages for each in str(message.content))


async def test_a_run_is_counted_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SteppedModel, "tokens", characters)
    async with chatting(tmp_path, says("A longer answer.")) as chats:
        id, first, _ = await two_exchanges(chats)

        async def counted(**body: Any) -> dict[str, Any]:
            reply = await chats.client.post(f"{CHATS}/{id}/count", json={"exchanges": True, **body})
            return dict(reply.raise_for_status().json())

        whole = await counted(message={"content": FILE})
        assert (whole["model"], whole["context"], whole["context_train"]) == ("played", 100, 100)
        assert whole["parts"] == [len(part["text"]) for part in FILE]
        assert [each["left_out"] for each in whole["exchanges"]] == [False, False]
        await leave_out(chats, id, first["parent"])
        less = await counted(message={"content": FILE})
        assert whole["count"] - less["count"] == whole["exchanges"][0]["tokens"] > 0
        assert [each["left_out"] for each in less["exchanges"]] == [True, False]
        assert less["exchanges"][0]["tokens"] == whole["exchanges"][0]["tokens"]  # as much as it would take again
        assert not (await chats.read(id))["run"] and len((await chats.read(id))["messages"]) == 4
        assert (await chats.client.post(f"{CHATS}/count", json={"message": {"content": "hi"}})).json()["count"] > 0
        assert (await chats.client.post(f"{CHATS}/count", json={})).status_code == 422


async def test_an_exchange_is_as_large_as_what_is_kept_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SteppedModel, "tokens", characters)
    async with chatting(tmp_path) as chats:
        id = await chats.chat()
        first = await chats.answered(id, message={"content": FILE})

        async def size(*ids: str) -> tuple[int, bool]:
            await leave_out(chats, id, *ids)
            body = {"exchanges": True, "message": {"content": "x"}}
            (found,) = (await chats.client.post(f"{CHATS}/{id}/count", json=body)).json()["exchanges"]
            return found["tokens"], found["left_out"]

        file, question = f"{first['parent']}#0", first["parent"]
        (whole, _), (less, left_out) = await size(), await size(file)
        assert 0 < less < whole and not left_out
        assert await size(file, question) == (less, True)
        assert await size(file, f"{question}#1") == (whole, True)
