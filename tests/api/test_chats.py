"""Chats on the server over HTTP: listed, searched, changed, deleted, exported and imported, each owner's own."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ggufrun.api.app import create_app, gateway_for
from ggufrun.chat.types import ToolCallDelta
from ggufrun.records import chat_search
from ggufrun.records.chats import ChatStore
from ggufrun.records.keys import KeyStore
from tests.api.chatting import BEGIN, CHATS, END, Chatting, chatting, says
from tests.api.scripted import PlayedModel, client_of

pytestmark = pytest.mark.process
PRESETS = "/ggufrun/v1/presets"


async def found(chats: Chatting, **query: Any) -> list[str]:
    page = (await chats.client.get(CHATS, params=query)).raise_for_status().json()
    return [chat["title"] for chat in page["data"]]


async def test_a_chat_is_made_changed_and_deleted_with_all_its_rows(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat(settings={"system": "Be brief.", "sampling": {"temperature": 0.5}})
        answer = await chats.answered(id, "Why is the sky blue?\nReally.")
        chat = await chats.read(id)
        assert chat["title"] == "Why is the sky blue?" and chat["head"] == answer["id"] and chat["run"] is None
        assert chat["settings"] == {"system": "Be brief.", "sampling": {"temperature": 0.5}}
        assert [(each["role"], each["content"]) for each in chat["messages"]] == [
            ("user", "Why is the sky blue?\nReally."),
            ("assistant", "fine"),
        ]
        changed = await chats.client.patch(f"{CHATS}/{id}", json={"title": "Skies", "model": "played", "settings": {}})
        assert changed.status_code == 200 and (changed.json()["title"], changed.json()["model"]) == ("Skies", "played")
        assert (await chats.read(id))["settings"] == {}
        assert (await chats.client.delete(f"{CHATS}/{id}")).json() == {"id": id, "deleted": True}
        assert (await chats.client.get(f"{CHATS}/{id}")).status_code == 404
    with closing(sqlite3.connect(tmp_path / "chats.db")) as database:
        for table in ("chats", "messages", "runs", "texts", "text_index_docsize"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


async def test_messages_are_a_tree(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat()

        async def post(**body: Any) -> httpx.Response:
            return await chats.client.post(f"{CHATS}/{id}/messages", json=body)

        first = (await post(content="one")).json()
        below = (await post(content="two", role="assistant")).json()
        beside = (await post(content="another one", sibling_of=first["id"])).json()
        chat = await chats.read(id)
        assert (first["parent"], below["parent"], beside["parent"]) == (None, first["id"], None)
        assert chat["head"] == beside["id"] and [each["content"] for each in chat["messages"]] == [
            *("one", "two", "another one"),
        ]
        shown = await chats.client.patch(f"{CHATS}/{id}", json={"head": below["id"]})
        assert shown.json()["head"] == below["id"] and shown.json()["updated"] == chat["updated"]
        for body in ({"parent": "nobody"}, {"sibling_of": "nobody"}):
            refused = await post(content="x", **body)
            assert refused.status_code == 422 and refused.json()["param"] in body
        refused = await chats.client.patch(f"{CHATS}/{id}", json={"head": "nobody"})
        assert refused.status_code == 422 and refused.json()["param"] == "head"


@pytest.fixture(params=[True, False], ids=["fts5", "without"])
def search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(chat_search, "_open", lambda _: False)
    return bool(request.param)


async def test_search_in_text(tmp_path: Path, search: bool) -> None:
    scripts = says("Die Straße nach Ürzig"), says("こんにちは世界"), says('50 % of "all" it\'s -not- a* OR b')
    async with chatting(tmp_path, *scripts) as chats:
        for title in ("road", "hello", "odd"):
            await chats.answered(await chats.chat(title=title), "question")
        for query, titles in (
            *(("", ["odd", "hello", "road"]), ("STRASSE", ["road"]), ("ürz strass", ["road"]), ("ür", ["road"])),
            *(("世界", ["hello"]), ("こんにち", ["hello"]), ("quest", ["odd", "hello", "road"]), ("road", ["road"])),
            *(('"all"', ["odd"]), ("a* OR b", ["odd"]), ("-not-", ["odd"]), ("50 %", ["odd"]), ("_", [])),
            *(("road question", ["road"]), ("road hello", []), ("a\0b", ["odd"]), ('"', ["odd"])),
        ):
            assert await found(chats, q=query) == titles, query


async def test_what_is_renamed_or_deleted_is_not_found_any_more(tmp_path: Path, search: bool) -> None:
    async with chatting(tmp_path) as chats:
        one, two = await chats.chat(title="zebra"), await chats.chat(title="zebra crossing")
        await chats.client.patch(f"{CHATS}/{one}", json={"title": "horse"})
        assert await found(chats, q="zebra") == ["zebra crossing"] and await found(chats, q="horse") == ["horse"]
        await chats.client.delete(f"{CHATS}/{two}")
        assert await found(chats, q="zebra") == []


async def test_an_index_that_missed_something_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(chat_search, "_open", lambda _: False)
        async with chatting(tmp_path) as chats:
            await chats.chat(title="zebra")
    async with chatting(tmp_path) as chats:
        assert await found(chats, q="zeb") == ["zebra"]


async def test_the_list_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        for number in range(5):
            await chats.chat(title=str(number))
        titles: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await chats.client.get(CHATS, params={"limit": 2, "cursor": cursor})).json()
            titles += [chat["title"] for chat in page["data"]]
            cursor = page["next"]
        assert titles == list("43210")
        for bad in ("x", "1_", "nan_1", "-1_1", "1_-1", f"1_{2**63}"):
            refused = await chats.client.get(CHATS, params={"cursor": bad})
            assert refused.status_code == 422 and refused.json()["param"] == "cursor", bad


async def test_a_key_sees_its_own_chats_only(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.db")
    async with chatting(tmp_path, keys=keys) as chats:
        nobodys = await chats.chat(title="of this machine's user")
        bearer = [{"Authorization": f"Bearer {keys.add(name)}"} for name in ("ann", "bob")]
        assert (await chats.client.get(CHATS)).status_code == 401
        chats.client.headers = httpx.Headers(bearer[0])
        anns = await chats.chat(title="of ann")
        run = (await chats.run(anns, "hi"))["id"]
        assert (await chats.client.put(f"{PRESETS}/short", json={"model": "played"})).status_code == 200
        assert await found(chats) == ["of ann"]
        for who in bearer:
            chats.client.headers = httpx.Headers(who)
            theirs = anns if who is bearer[1] else nobodys
            mine = await chats.chat()
            for method, path, body in (
                *(("GET", "", None), ("PATCH", "", {"title": "mine"}), ("DELETE", "", None), ("GET", "/export", None)),
                *(("POST", "/messages", {"content": "x"}), ("POST", "/runs", {"message": {"content": "x"}})),
                *(("GET", f"/runs/{run}/events", None), ("DELETE", f"/runs/{run}", None)),
            ):
                reply = await chats.client.request(method, f"{CHATS}/{theirs}{path}", json=body)
                assert reply.status_code == 404, (method, path, reply.text)
            inside = await chats.client.get(f"{CHATS}/{mine}/runs/{run}/events")
            assert inside.status_code == 404
        assert (await chats.client.get(PRESETS)).json() == {"data": []} and "of ann" not in await found(chats)
    keys.close()


async def test_presets(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        settings = {"system": "Be brief.", "sampling": {"top_p": 0.9}, "schema": {"type": "object"}, "tools": []}
        for system in ("Be long.", "Be brief."):
            body = {"model": "played", "settings": settings | {"system": system}}
            assert (await chats.client.put(f"{PRESETS}/my own", json=body)).status_code == 200
        saved = {"name": "my own", "model": "played", "settings": settings}
        assert (await chats.client.get(PRESETS)).json() == {"data": [saved]}
        assert (await chats.client.delete(f"{PRESETS}/my own")).status_code == 200
        assert (await chats.client.delete(f"{PRESETS}/my own")).status_code == 404
        assert (await chats.client.get(PRESETS)).json() == {"data": []}


async def test_what_is_exported_is_imported_again(tmp_path: Path) -> None:
    call = (*BEGIN, ToolCallDelta(0, "call1", "look", '{"at": "sky"}'), *END)
    async with chatting(tmp_path, says("It is [blue](x)."), says("Blue."), call) as chats:
        id = await chats.chat(settings={"system": "Be brief."})
        first = await chats.answered(id, "Why?")
        await chats.answered(id, parent=first["parent"])
        await chats.client.patch(f"{CHATS}/{id}", json={"head": first["id"]})
        await chats.answered(id, "Look!")
        text = await chats.client.get(f"{CHATS}/{id}/export", params={"format": "markdown"})
        assert text.headers["content-type"].startswith("text/markdown") and f"chat-{id}.md" in str(text.headers)
        assert text.text == (
            "# Why?\n\n## System\n\nBe brief.\n\n## User\n\nWhy?\n\n## Assistant (played)\n\nIt is [blue](x).\n\n"
            '## User\n\nLook!\n\n## Assistant (played)\n\n```json\nlook({"at": "sky"})\n```\n'
        )
        file = (await chats.client.get(f"{CHATS}/{id}/export")).json()
        copy = await chats.client.post(f"{CHATS}/import", json=file)
        assert copy.status_code == 201, copy.text
        before, after = await chats.read(id), await chats.read(copy.json()["id"])
        assert after == copy.json() and {each["id"] for each in (before, *before["messages"])}.isdisjoint(
            each["id"] for each in (after, *after["messages"])
        )
        assert shape(after) == shape(before) and len(after["messages"]) == 5
        assert await found(chats, q="blue") == ["Why?", "Why?"]


def shape(chat: dict[str, Any]) -> tuple[Any, ...]:
    """All of it but ids and times: places among the messages instead."""
    places = {message["id"]: place for place, message in enumerate(chat["messages"])}
    messages = [
        (places.get(each["parent"]), each["role"], each["content"], each["tool_calls"], {**each["meta"], "run": ""})
        for each in chat["messages"]
    ]
    return chat["title"], chat["model"], chat["settings"], places[chat["head"]], messages


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"id": "a", "role": "user", "parent": "b"}, {"id": "b", "role": "user"}], "messages.0.parent"),
        ([{"id": "a", "role": "user", "parent": "a"}], "messages.0.parent"),
        ([{"id": "a", "role": "user"}, {"id": "a", "role": "user"}], "messages.1.id"),
        ([{"id": "a", "role": "user"}], "head"),
    ],
)
async def test_a_file_that_is_no_chat_is_refused(tmp_path: Path, messages: Sequence[Any], param: str) -> None:
    async with chatting(tmp_path) as chats:
        body = {"format": "ggufrun-chat", "version": 1, "head": "z", "messages": messages}
        refused = await chats.client.post(f"{CHATS}/import", json=body)
        assert refused.status_code == 422 and refused.json()["param"] == param
        assert await found(chats) == []


async def test_numbers_that_no_json_has_are_refused(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        content = '{"settings": {"sampling": {"temperature": NaN}}}'
        assert (await chats.client.post(CHATS, content=content)).status_code == 422
        assert await found(chats) == []


async def test_a_server_that_keeps_none_says_so() -> None:
    async with client_of(create_app(gateway_for(PlayedModel(())))) as client:
        refused = await client.get(CHATS)
        assert refused.status_code == 400 and "keeps no chats" in refused.text


def test_chats_survive_a_restart(tmp_path: Path) -> None:
    with closing(ChatStore(tmp_path / "chats.db")) as store:
        made = store.create("ann", "kept", "m", {"system": "x"})
    with closing(ChatStore(tmp_path / "chats.db")) as store:
        assert store.get("ann", made.id) == made and not store.listed("bob")[0]
