"""Chats under what clients and other processes may do to them: a locked file, odd and deep JSON, large imports."""

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ggufrun.api.chats.bodies import MOST_MESSAGES
from ggufrun.api.chats.replies import MessageReply
from ggufrun.chat.types import ChoiceFinished, TextDelta, ThinkingDelta
from ggufrun.errors import ChatNotFound
from ggufrun.records.chat_messages import ChatMessage
from ggufrun.records.chats import ChatStore
from tests.api.chatting import BEGIN, CHATS, DONE, chatting, says

pytestmark = pytest.mark.process
FILE: dict[str, Any] = {"format": "ggufrun-chat", "version": 1}


def deep(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


async def test_a_locked_file_does_not_hold_up_the_end_of_the_server(tmp_path: Path) -> None:
    async with chatting(tmp_path, (*BEGIN, TextDelta("half"), None)) as chats:
        ids = [await chats.chat() for _ in range(3)]
        for id in ids:
            await chats.run(id, "hi")
        with closing(sqlite3.connect(tmp_path / "chats.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            since = time.monotonic()
            waiting = asyncio.create_task(asyncio.to_thread(chats.store.create, ""))
            await chats.gateway.runs.close(chats.store)
            with pytest.raises(Exception, match="chats"):  # it gives up, too
                await waiting
            assert time.monotonic() - since < 30 and not chats.gateway.runs.ids and chats.model.ended == 3
            other.execute("ROLLBACK")
        with closing(ChatStore(tmp_path / "chats.db")) as store:  # the next start
            for id in ids:
                chat = store.get("", id)
                assert chat.run is None and store.messages.all(chat.number)[-1].meta["state"] == "stopped"


async def test_what_is_too_deep_to_be_read_again_is_not_stored(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat()
        parts, sampling = [{"type": "text", "text": "a", "x": deep(300)}], {"sampling": {"x": deep(300)}}
        message = {"id": "1", "role": "user", "content": parts}
        for method, path, body in (
            ("POST", f"{CHATS}/{id}/messages", {"content": parts}),
            ("POST", f"{CHATS}/{id}/runs", {"message": {"content": parts}}),
            ("POST", CHATS, {"settings": sampling}),
            ("PATCH", f"{CHATS}/{id}", {"settings": sampling}),
            ("PUT", "/ggufrun/v1/presets/deep", {"settings": sampling}),
            ("POST", f"{CHATS}/import", {**FILE, "messages": [message]}),
        ):
            refused = await chats.client.request(method, path, json=body)
            assert refused.status_code == 422 and "0 deep" in refused.text, path
        assert not (await chats.read(id))["messages"]


async def test_the_deepest_that_is_stored_is_read_exported_and_imported(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat(settings={"sampling": {"x": deep(97)}})
        parts = [{"type": "text", "text": "a", "x": deep(97)}]
        (await chats.client.post(f"{CHATS}/{id}/messages", json={"content": parts})).raise_for_status()
        assert (await chats.read(id))["messages"][0]["content"] == parts
        file = (await chats.client.get(f"{CHATS}/{id}/export")).raise_for_status().json()
        copy = (await chats.client.post(f"{CHATS}/import", json=file)).raise_for_status().json()
        assert copy["messages"][0]["content"] == parts


def test_the_number_of_a_deleted_chat_is_no_other_chats(tmp_path: Path) -> None:
    with closing(ChatStore(tmp_path / "chats.db")) as store:
        ann = store.create("ann")
        store.delete("ann", ann.id)
        bob = store.create("bob")
        answer = ChatMessage("assistant")
        with pytest.raises(ChatNotFound, match=answer.id):
            store.runs.begin(ann.number, "run", [ChatMessage("user", "ann's own")], answer, new=True)
        assert not store.messages.all(bob.number)


@pytest.mark.parametrize("ms", ["x", -1, 1e300, [1]])
async def test_a_run_ends_whatever_an_import_says_of_its_time(tmp_path: Path, ms: Any) -> None:
    script = (*BEGIN, ThinkingDelta("hm", closed=True), TextDelta("Hi there"), ChoiceFinished("stop"), DONE)
    asked = {"id": "a", "role": "user", "content": "q"}
    answer = {"id": "b", "parent": "a", "role": "assistant", "content": "Hi", "meta": {"thinking_ms": ms}}
    async with chatting(tmp_path, script) as chats:
        copy = (await chats.client.post(f"{CHATS}/import", json={**FILE, "messages": [asked, answer]})).json()
        message = await chats.answered(copy["id"], **{"continue": copy["messages"][1]["id"]})
        assert message["meta"]["state"] == "done" and 0 <= message["meta"]["thinking_ms"] < 10_000
        assert (await chats.read(copy["id"]))["run"] is None


async def test_an_answer_that_cannot_be_stored_ends_its_run(tmp_path: Path) -> None:
    odd = replace(DONE, total_s=float("nan"))
    async with chatting(tmp_path, (*BEGIN, TextDelta("x"), ChoiceFinished("stop"), odd), says("fine")) as chats:
        id = await chats.chat()
        assert (await chats.answered(id, "hi"))["meta"]["state"] == "failed"
        assert (await chats.read(id))["run"] is None
        assert (await chats.answered(id, "again"))["content"] == "fine"


async def test_tool_calls_of_any_form_are_exported(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat()
        for function in ("boom", ["f"], None, {"name": "f"}):
            body = {"role": "assistant", "content": "hi", "tool_calls": [{"function": function}]}
            (await chats.client.post(f"{CHATS}/{id}/messages", json=body)).raise_for_status()
        text = await chats.client.get(f"{CHATS}/{id}/export", params={"format": "markdown"})
        assert text.status_code == 200 and "f()" in text.text


async def test_an_import_is_all_there_or_not_at_all(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        with closing(sqlite3.connect(tmp_path / "chats.db", isolation_level=None)) as other:
            refuse = "BEGIN SELECT raise(ABORT, 'no'); END"
            other.execute(f"CREATE TRIGGER no BEFORE INSERT ON messages WHEN new.content LIKE '%bad%' {refuse}")
        messages = [{"id": each, "role": "user", "content": each} for each in ("good", "bad")]
        refused = await chats.client.post(f"{CHATS}/import", json={**FILE, "messages": messages})
        assert refused.status_code == 500
        assert (await chats.client.get(CHATS)).json()["data"] == []


async def test_an_import_has_a_limit(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        messages = [{"id": "1", "role": "user"}] * (MOST_MESSAGES + 1)
        refused = await chats.client.post(f"{CHATS}/import", json={**FILE, "messages": messages})
        assert refused.status_code == 422 and str(MOST_MESSAGES) in refused.text


async def test_whole_chats_are_built_beside_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set[threading.Thread]()
    of = MessageReply.of

    def watched(message: ChatMessage) -> MessageReply:
        threads.add(threading.current_thread())
        return of(message)

    async with chatting(tmp_path) as chats:
        monkeypatch.setattr(MessageReply, "of", watched)
        body = {**FILE, "messages": [{"id": "1", "role": "user", "content": "q"}]}
        copy = (await chats.client.post(f"{CHATS}/import", json=body)).raise_for_status().json()
        assert await chats.read(copy["id"]) == copy
    assert threads and threading.current_thread() not in threads
