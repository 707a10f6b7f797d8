"""Answers as runs of a chat: begun, read along, stopped, gone on with; and what the model is asked."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from ggufrun.api.calls.respond import ESCALATE_HEADER
from ggufrun.chat.types import (
    ChatRequest,
    ChoiceFinished,
    TextDelta,
    ThinkingChunk,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.errors import EngineBusy, EngineCrashed, PromptTooLong, SchemaNotSatisfied
from tests.api.chatting import BEGIN, CHATS, DONE, END, Chatting, Step, chatting, says, shown

pytestmark = pytest.mark.process
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def asked(chats: Chatting, at: int = -1) -> list[tuple[str, Any]]:
    """The messages of a request that the model got."""
    request = chats.model.requests[at]
    assert isinstance(request, ChatRequest)
    return [(message.role, message.content) for message in request.messages]


async def until(happened: Any) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)


async def test_an_answer_and_all_that_is_known_of_it(tmp_path: Path) -> None:
    script = (
        *(*BEGIN, ThinkingDelta("Let me"), ThinkingDelta(" see.", closed=True), TextDelta("Two "), TextDelta("calls.")),
        *(ToolCallDelta(0, "c1", "f", ""), ToolCallDelta(0, "c1", "", '{"x"'), ToolCallDelta(0, "c1", "", ": 1}")),
        *(ToolCallDelta(1, "c2", "g", "{}"), ChoiceFinished("tool_calls"), DONE),
    )
    async with chatting(tmp_path, script) as chats:
        id = await chats.chat()
        run = await chats.run(id, "Go")
        assert run["state"] == "running" and [each["content"] for each in run["added"]] == ["Go"]
        assert run["message"]["parent"] == run["added"][0]["id"] and run["message"]["content"] == ""
        (end,) = [event for event in await chats.events(id, run["id"]) if event["type"] == "end"]
        message = end["message"]
        assert end["state"] == "done" and (await chats.read(id))["messages"][-1] == message
        assert (message["content"], message["thinking"]) == ("Two calls.", "Let me see.")
        assert [
            (each["id"], each["function"]["name"], each["function"]["arguments"]) for each in message["tool_calls"]
        ] == [
            *(("c1", "f", '{"x": 1}'), ("c2", "g", "{}")),
        ]
        meta = message["meta"]
        assert (meta["state"], meta["run"], meta["model"]) == ("done", run["id"], "played")
        assert (meta["finish_reason"], meta["context"]) == ("tool_calls", 100) and meta["thinking_ms"] >= 0
        assert meta["usage"]["completion_tokens"] == 2 and meta["timings"]["cached_tokens"] == 3


async def test_the_model_gets_the_branch_and_the_settings(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    thought = (*BEGIN, ThinkingDelta("Hm.", closed=True), TextDelta("first"), *END)
    async with chatting(tmp_path, thought, says("second")) as chats:
        settings = {"system": "Be brief.", "sampling": {"temperature": 0.5, "stop": "x"}, "tools": tools}
        id = await chats.chat(settings=settings)
        one = await chats.answered(id, "one")
        await chats.answered(id, "two", settings={"schema": SCHEMA, "sampling": {"top_k": 3}})
        request = chats.model.requests[-1]
        assert isinstance(request, ChatRequest) and request.live and request.constraint is not None
        assert request.constraint.schema == SCHEMA and request.tools[0].function.name == "f"
        assert (request.options.top_k, request.options.temperature, request.options.n) == (3, None, 1)
        (system, user, answer, last) = asked(chats)
        assert (system, user, last) == (("system", "Be brief."), ("user", "one"), ("user", "two"))
        assert isinstance(answer[1][0], ThinkingChunk) and answer[1][1].text == "first"
        first = chats.model.requests[0]
        assert isinstance(first, ChatRequest) and (first.options.temperature, first.options.stop) == (0.5, ("x",))
        again = await chats.answered(id, parent=one["parent"])
        assert asked(chats) == [("system", "Be brief."), ("user", "one")]
        assert again["parent"] == one["parent"] and (await chats.read(id))["head"] == again["id"]
        edited = await chats.run(id, message={"content": "ONE", "sibling_of": one["parent"]})
        assert asked(chats) == [("system", "Be brief."), ("user", "ONE")] and edited["added"][0]["parent"] is None


async def test_results_of_tools_are_answered(tmp_path: Path) -> None:
    call = (*BEGIN, ToolCallDelta(0, "abcdefghi", "f", "{}"), ChoiceFinished("tool_calls"), DONE)
    async with chatting(tmp_path, call, says("sunny")) as chats:
        id = await chats.chat()
        await chats.answered(id, "weather?")
        result = {"role": "tool", "content": "sun", "tool_call_id": "abcdefghi", "name": "f"}
        assert (await chats.answered(id, message=result))["content"] == "sunny"
        request = chats.model.requests[-1]
        assert isinstance(request, ChatRequest)
        _, calling, told = request.messages
        assert calling.tool_calls is not None and calling.tool_calls[0].function.name == "f"
        assert (told.role, told.tool_call_id, told.name, told.content) == ("tool", "abcdefghi", "f", "sun")


async def test_to_go_on_with_an_answer(tmp_path: Path) -> None:
    """The model repeats what it is given as the answer's beginning, in pieces or at once."""
    gate = asyncio.Event()
    scripts: list[tuple[Step, ...]] = [
        (*BEGIN, TextDelta("One, two"), ChoiceFinished("length"), DONE),
        (*BEGIN, TextDelta("One,"), gate, TextDelta(" two, three"), None),
        (*BEGIN, TextDelta("One, two, three"), TextDelta("."), *END),
    ]
    async with chatting(tmp_path, *scripts) as chats:
        id = await chats.chat()
        first = await chats.answered(id, "Count.")
        run = await chats.run(id, **{"continue": first["id"]})
        assert run["message"]["id"] == first["id"] and run["message"]["content"] == "One, two" and not run["added"]
        request = chats.model.requests[-1]
        assert isinstance(request, ChatRequest) and request.messages[-1].prefix and len(request.messages) == 2
        stopped = await chats.stop(id, run)
        assert stopped["content"] == "One, two", "what was there must not be lost before it is repeated"
        gate.set()
        run = await chats.run(id, **{"continue": first["id"]})
        assert shown(await chats.events(id, run["id"]))[0] in ("", "One, two.", "One, two, three.")
        chat = await chats.read(id)
        assert [each["content"] for each in chat["messages"]] == ["Count.", "One, two, three."]
        assert chat["messages"][1]["meta"]["finish_reason"] == "stop"
        for wrong in (chat["messages"][0]["id"], "nobody"):
            refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"continue": wrong})
            assert refused.status_code == 422 and refused.json()["param"] == "continue"
        await chats.answered(id, "More.")
        refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"continue": first["id"]})
        assert refused.status_code == 422 and "below it" in refused.text


async def test_an_answer_that_was_stopped_before_its_first_word_is_not_history(tmp_path: Path) -> None:
    async with chatting(tmp_path, (*BEGIN, None), says("fine")) as chats:
        id = await chats.chat()
        run = await chats.run(id, "one")
        empty = await chats.stop(id, run)
        assert (empty["content"], empty["meta"]["state"]) == ("", "stopped")
        await chats.answered(id, "two")
        assert asked(chats) == [("user", "one"), ("user", "two")]
        assert await chats.stop(id, run) == empty


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"settings": {"sampling": {"temperature": "hot"}}}, 422, "temperature"),
        ({"settings": {"sampling": {"top_logprobs": 3}}}, 422, "top_logprobs"),
        ({"settings": {"sampling": {"n": 2}}}, 422, "settings.sampling.n"),
        ({"settings": {"tools": [{"type": "function"}]}}, 422, "tools.0.function"),
        ({"model": "other"}, 400, "model"),
        ({"message": {"content": [{"type": "image_url", "image_url": "x"}]}}, 422, "messages.0.content.0"),
        ({"message": {"role": "assistant", "content": "x"}}, 422, "message"),
        ({"message": {"content": "x", "parent": "nobody"}}, 422, "message.parent"),
        ({"message": None}, 422, "message"),
        ({"message": None, "parent": "nobody"}, 422, "parent"),
        ({"parent": "x"}, 422, "message"),
    ],
)
async def test_what_is_wrong_is_said_as_in_chat_completions_and_adds_nothing(
    tmp_path: Path, body: dict[str, Any], status: int, param: str | None
) -> None:
    async with chatting(tmp_path) as chats:
        id = await chats.chat()
        refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "hi"}, **body})
        assert refused.status_code == status, refused.text
        assert refused.json()["object"] == "error" and refused.json()["param"] == param
        chat = await chats.read(id)
        assert (chat["messages"], chat["run"], chat["head"]) == ([], None, None)
        assert (await chats.answered(id, "hi"))["content"] == "fine"


@pytest.mark.parametrize(("error", "status"), [(PromptTooLong(200, 100), 400), (EngineBusy(3), 429), (KeyError(), 500)])
async def test_what_the_model_refuses_adds_nothing(tmp_path: Path, error: Exception, status: int) -> None:
    async with chatting(tmp_path, (error,), says("fine")) as chats:
        id = await chats.chat()
        try:
            refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "hi"}})
        except KeyError:  # the client without a socket raises what the server logs
            assert status == 500
        else:
            assert refused.status_code == status, refused.text
        assert (await chats.read(id))["messages"] == []
        assert (await chats.answered(id, "hi"))["content"] == "fine"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(EngineCrashed("signal 9"), "server_error"), (SchemaNotSatisfied("no", "x", 1), "invalid_request_error")],
)
async def test_an_answer_that_fails_keeps_what_came(tmp_path: Path, error: Exception, kind: str) -> None:
    async with chatting(tmp_path, (*BEGIN, TextDelta("half"), error)) as chats:
        message = await chats.answered(await chats.chat(), "hi")
        assert (message["content"], message["meta"]["state"]) == ("half", "failed")
        assert message["meta"]["error"]["type"] == kind and message["meta"]["error"]["message"]


async def test_one_run_at_a_time_and_it_is_stopped_by_its_delete(tmp_path: Path) -> None:
    async with chatting(tmp_path, (*BEGIN, TextDelta("half"), None), says("fine")) as chats:
        id, other = await chats.chat(), await chats.chat()
        run = await chats.run(id, "hi")
        refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "again"}})
        assert refused.status_code == 409 and run["id"] in refused.text
        assert (await chats.read(id))["run"] == run["id"] and len((await chats.read(id))["messages"]) == 2
        assert (await chats.answered(other, "hi"))["content"] == "fine"
        unknown = await chats.client.delete(f"{CHATS}/{id}/runs/nothing")
        assert unknown.status_code == 404 and chats.model.ended == 1
        stopped = await chats.stop(id, run)
        assert (stopped["content"], stopped["meta"]["state"]) == ("half", "stopped") and chats.model.ended == 2
        (end,) = await chats.events(id, run["id"], after=3)
        assert (end["type"], end["state"], end["message"]) == ("end", "stopped", stopped)
        assert (await chats.answered(id, "again"))["content"] == "fine"


async def test_two_at_once_are_one_run_and_one_refusal(tmp_path: Path) -> None:
    async with chatting(tmp_path, (*BEGIN, None)) as chats:
        path = f"{CHATS}/{await chats.chat()}/runs"
        replies = await asyncio.gather(*(chats.client.post(path, json={"message": {"content": "hi"}}) for _ in "ab"))
        assert sorted(reply.status_code for reply in replies) == [201, 409]
        assert len(chats.model.requests) == 1


async def test_another_process_answers_in_the_chat(tmp_path: Path) -> None:
    """While it lives; what a dead one has left behind does not stand in the way."""
    async with chatting(tmp_path) as chats:
        id = await chats.chat()
        answer = await chats.answered(id, "hi")
        parent, number = psutil.Process(os.getppid()), chats.store.get("", id).number
        with closing(sqlite3.connect(tmp_path / "chats.db", isolation_level=None)) as other:
            for started, status in ((parent.create_time(), 409), (parent.create_time() - 3600, 201)):
                row = (number, "theirs", answer["id"], f"{parent.pid} {started} x")
                other.execute("INSERT OR REPLACE INTO runs (chat, id, message, process) VALUES (?, ?, ?, ?)", row)
                reply = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "again"}})
                assert reply.status_code == status, reply.text
                assert len((await chats.read(id))["messages"]) == (2 if status == 409 else 4)


async def test_to_delete_a_chat_ends_its_run(tmp_path: Path) -> None:
    async with chatting(tmp_path, (*BEGIN, TextDelta("half"), None)) as chats:
        id = await chats.chat()
        run = await chats.run(id, "hi")
        assert (await chats.client.delete(f"{CHATS}/{id}")).status_code == 200
        assert chats.model.ended == 1 and not chats.gateway.runs.ids
        assert (await chats.client.get(f"{CHATS}/{id}/runs/{run['id']}/events")).status_code == 404


async def test_a_chat_that_another_server_deletes_ends_its_run(tmp_path: Path) -> None:
    script = (*BEGIN, *(TextDelta("x") for _ in range(3)), None)
    async with chatting(tmp_path, script) as chats, chatting(tmp_path) as another:
        id = await chats.chat()
        await chats.run(id, "hi")
        assert (await another.client.delete(f"{CHATS}/{id}")).status_code == 200
        await until(lambda: chats.model.ended)


async def test_a_stop_while_the_run_is_written_down(tmp_path: Path) -> None:
    """Another process holds the file for a moment."""
    async with chatting(tmp_path, (*BEGIN, None)) as chats:
        id = await chats.chat()
        with closing(sqlite3.connect(tmp_path / "chats.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asking = asyncio.create_task(chats.run(id, "hi"))
            await until(lambda: chats.gateway.runs.ids and chats.model.requests)
            await asyncio.sleep(0.1)
            chat = await chats.read(id)  # reading waits for nobody
            assert chat["run"] and not chat["messages"]
            stopping = asyncio.create_task(chats.client.delete(f"{CHATS}/{id}/runs/{chat['run']}"))
            await asyncio.sleep(0.1)
            assert not stopping.done()
            other.execute("COMMIT")
        assert (await asking)["message"]["meta"]["state"] == "running"
        assert (await stopping).json()["state"] == "stopped"
        chat = await chats.read(id)
        assert chat["run"] is None and chat["messages"][-1]["meta"]["state"] == "stopped"


async def test_it_is_stored_while_it_comes_and_stopped_with_the_server(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with chatting(tmp_path, (*BEGIN, TextDelta("half"), gate, TextDelta(" more"), None)) as chats:
        id = await chats.chat()
        await chats.run(id, "hi")
        number = chats.store.get("", id).number
        await until(lambda: chats.store.messages.all(number)[-1].content == "half")
        assert (await chats.read(id))["messages"][-1]["meta"]["state"] == "running"
        gate.set()
        await asyncio.sleep(0)
        await chats.gateway.runs.close()
        message = (await chats.read(id))["messages"][-1]
        assert (message["content"], message["meta"]["state"]) == ("half more", "stopped") and chats.model.ended == 1


async def test_what_a_server_that_died_was_answering_is_stopped_at_the_next_start(tmp_path: Path) -> None:
    async with chatting(tmp_path, (*BEGIN, TextDelta("quarter past"), None)) as chats:
        id = await chats.chat()
        run = await chats.run(id, "hi")
        number = chats.store.get("", id).number
        await until(lambda: chats.store.messages.all(number)[-1].content)
        async with chatting(tmp_path) as restarted:  # the other one has ended nothing
            chat = await restarted.read(id)
            assert chat["run"] is None and chat["messages"][-1]["meta"]["state"] == "stopped"
            (end,) = await restarted.events(id, run["id"])
            assert (end["state"], end["message"]["content"]) == ("stopped", "quarter past")
            found = (await restarted.client.get(CHATS, params={"q": "quarter past"})).json()["data"]
            assert [each["id"] for each in found] == [id]
            assert (await restarted.answered(id, "again"))["content"] == "fine"


async def test_a_run_is_escalated_by_its_header(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chats:
        for value, wanted in (("1", True), ("0", False)):
            body, headers = {"message": {"content": "Hi"}}, {ESCALATE_HEADER: value}
            path = f"{CHATS}/{await chats.chat()}/runs"
            (await chats.client.post(path, json=body, headers=headers)).raise_for_status()
            request = chats.model.requests[-1]
            assert isinstance(request, ChatRequest) and request.escalate is wanted
