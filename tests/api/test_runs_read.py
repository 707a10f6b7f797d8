"""Runs and their readers, over sockets: any number, late, slow, gone; and the calls that runs are recorded as."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ggufrun.chat.types import AnyRequest, ChatEvent, ChatModel, Meter, TextDelta
from ggufrun.errors import OutOfMemory
from ggufrun.pool.served import OneModel, ServedModel
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from tests.api.chatting import BEGIN, CHATS, END, Chatting, SteppedModel, chatting, event_of, says, shown
from tests.api.entries import until_written

pytestmark = pytest.mark.process


class Reader:
    """Reads along from `after` until its connection is closed."""

    def __init__(self, chats: Chatting, chat: str, run: str, after: int = 0) -> None:
        self.events: list[dict[str, Any]] = []
        self.connected = asyncio.Event()
        self._task = asyncio.create_task(self._read(chats, f"{CHATS}/{chat}/runs/{run}/events?after={after}"))

    async def _read(self, chats: Chatting, path: str) -> None:
        async with chats.client.stream("GET", path) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            self.connected.set()
            lines: list[str] = []
            async for line in reply.aiter_lines():
                if line:
                    lines.append(line)
                elif lines:
                    self.events.append(event_of("\n".join(lines)))
                    lines = []

    async def until(self, text: str) -> None:
        async with asyncio.timeout(60):
            while shown(self.events)[0] != text:  # noqa: ASYNC110 - nobody sets an event
                await asyncio.sleep(0.01)

    async def end(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            await self._task
        return self.events

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_readers_come_and_go_and_all_read_the_same(tmp_path: Path) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    words = [TextDelta(f"{number} ") for number in range(50)]
    script = (*BEGIN, TextDelta("a "), TextDelta("b "), gates[0], *words, gates[1], TextDelta("c"), *END)
    whole = "a b " + "".join(word.text for word in words) + "c"
    async with chatting(tmp_path, script, socket=True) as chats:
        id = await chats.chat()
        run = (await chats.run(id, "hi"))["id"]
        first, second = Reader(chats, id, run), Reader(chats, id, run)
        await first.until("a b ")
        seen = first.events[-1]["id"]
        await second.leave()
        gates[0].set()
        await first.until(whole[:-1])
        late, back = Reader(chats, id, run), Reader(chats, id, run, seen)
        await late.until(whole[:-1])
        assert len(late.events) < 5, "what came before is told at once"
        gates[1].set()
        for reader in (first, late):
            assert shown(await reader.end())[0] == whole
        assert shown(await back.end())[0] == whole.removeprefix("a b ") and back.events[0]["id"] > seen
        for reader in (first, late, back):
            assert reader.events[-1] == first.events[-1] and first.events[-1]["message"]["content"] == whole
            numbers = [event["id"] for event in reader.events]
            assert numbers == sorted(set(numbers)) and reader.events[-1]["type"] == "end"
        (end,) = await chats.events(id, run, seen)
        assert {**end, "id": 0} == {**first.events[-1], "id": 0}


async def test_pieces_say_how_many_tokens_there_are(tmp_path: Path) -> None:
    class Metered(SteppedModel):
        def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
            self.meter = meter or Meter()
            return super().complete(request, meter)

        async def _play(self) -> AsyncGenerator[ChatEvent, None]:
            async for event in super()._play():
                self.meter.prompt_tokens = 7
                self.meter.completion_tokens += 2 * isinstance(event, TextDelta)
                yield event

    script = (*BEGIN, TextDelta("a"), TextDelta("b"), None)
    async with chatting(tmp_path, models=OneModel(Metered(script)), socket=True) as chats:
        id = await chats.chat()
        run = await chats.run(id, "hi")
        assert run["message"]["meta"]["context"] == 100
        reader = Reader(chats, id, run["id"])
        await reader.until("ab")
        assert reader.events[1] == {"id": 2, "type": "progress", "done": 0, "total": 7, "cached": 0}
        text = [event for event in reader.events if event["type"] == "text"]
        assert text[-1]["tokens"] == 4 and text[-1]["ms"] >= 0
        meta = (await chats.stop(id, run))["meta"]
        assert (meta["usage"]["prompt_tokens"], meta["usage"]["completion_tokens"]) == (7, 4)
        assert (meta["timings"]["context_used"], meta["timings"]["context"]) == (11, 100)


async def test_no_reader_is_needed(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with chatting(tmp_path, (*BEGIN, TextDelta("a"), gate, TextDelta("b"), *END), socket=True) as chats:
        id = await chats.chat()
        run = (await chats.run(id, "hi"))["id"]
        reader = Reader(chats, id, run)
        await reader.until("a")
        await reader.leave()
        await asyncio.sleep(0.05)
        assert not chats.model.ended
        gate.set()
        assert (await Reader(chats, id, run).end())[-1]["message"]["content"] == "ab"


@pytest.mark.parametrize("how", ["to the end", "stopped", "refused"])
async def test_a_run_is_one_call_in_the_ledger_and_the_metrics(tmp_path: Path, how: str) -> None:
    script = (*BEGIN, TextDelta("a"), None) if how == "stopped" else says("a")
    with closing(Ledger(tmp_path / "ggufrun.db")) as ledger:
        async with chatting(tmp_path, script, ledger=ledger, socket=True, log_prompts=True) as chats:
            id = await chats.chat()
            if how == "refused":
                await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "a"}, "model": "other"})
                run = ""
            else:
                run = (await chats.run(id, "hi"))["id"]
                if how == "stopped":
                    await chats.client.delete(f"{CHATS}/{id}/runs/{run}")
                else:
                    await chats.events(id, run)
                (call,) = until_written(tmp_path / "ggufrun.db", 1)
                status, reason = (499, "cancelled") if how == "stopped" else (200, "stop")
                assert (call["request_id"], call["status"], call["finish_reason"]) == (run, status, reason)
                assert call["endpoint"] == f"{CHATS}/{{id}}/runs" and call["model"] == "played"
            counted = [
                line
                for line in (await chats.client.get("/metrics")).text.splitlines()
                if line.startswith("ggufrun_requests_total{") and 'endpoint="/ggufrun/v1/chats/{id}/runs"' in line
            ]
            assert len(counted) == 1 and counted[0].endswith(" 1.0"), counted
            assert not chats.gateway.runs.ids


async def test_a_keys_limits_hold_for_runs(tmp_path: Path) -> None:
    keys, ledger = KeyStore(tmp_path / "ggufrun.db"), Ledger(tmp_path / "ggufrun.db")
    with closing(keys), closing(ledger):
        async with chatting(tmp_path, keys=keys, ledger=ledger, socket=True) as chats:
            chats.client.headers = httpx.Headers({"Authorization": f"Bearer {keys.add('ann', tokens_per_day=5)}"})
            id = await chats.chat()
            await chats.answered(id, "hi")
            refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "again"}})
            assert refused.status_code == 429 and "retry-after" in refused.headers
            chats.client.headers = httpx.Headers({"Authorization": f"Bearer {keys.add('bob', models=['other'])}"})
            id = await chats.chat()
            refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "hi"}})
            assert refused.status_code == 403 and (await chats.read(id))["messages"] == []


class LoadingModels(OneModel):
    """One model that is loaded when `loaded` is set, or cannot be."""

    def __init__(self, model: SteppedModel, error: Exception | None = None) -> None:
        super().__init__(model)
        self.model, self.error = model, error
        self.loaded = asyncio.Event()
        self.leases = 0

    def served(self) -> Sequence[ServedModel]:
        return (ServedModel(self.model.info, "ready" if self.loaded.is_set() else "loading"),)

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[ChatModel]:
        self.leases += 1
        try:
            await self.loaded.wait()
            if self.error is not None:
                raise self.error
            yield self.model
        finally:
            self.leases -= 1


async def until_leased(models: LoadingModels, count: int) -> None:
    async with asyncio.timeout(60):
        while models.leases != count:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)


async def test_a_model_is_loaded_for_a_run_whoever_waits(tmp_path: Path) -> None:
    models = LoadingModels(SteppedModel(says("fine")))
    async with chatting(tmp_path, models=models, socket=True) as chats:
        id = await chats.chat()
        asking = asyncio.create_task(chats.run(id, "hi"))
        await until_leased(models, 1)
        asking.cancel()  # the client leaves
        await asyncio.gather(asking, return_exceptions=True)
        run = (await chats.read(id))["run"]
        reader = Reader(chats, id, run)
        models.loaded.set()
        assert (await reader.end())[-1]["message"]["content"] == "fine"
        assert len((await chats.read(id))["messages"]) == 2


async def test_to_stop_a_run_whose_model_is_being_loaded(tmp_path: Path) -> None:
    models = LoadingModels(SteppedModel(says("fine")))
    async with chatting(tmp_path, models=models, socket=True) as chats:
        id = await chats.chat()
        asking = asyncio.create_task(chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "hi"}}))
        await until_leased(models, 1)
        run = (await chats.read(id))["run"]
        reader = Reader(chats, id, run)
        await reader.connected.wait()
        stopped = await chats.client.delete(f"{CHATS}/{id}/runs/{run}")
        assert stopped.json() == {"id": run, "state": "stopped", "message": None}
        assert (await asking).status_code == 409 and models.leases == 0 and await reader.end() == []
        assert (await chats.read(id))["messages"] == [] and (await chats.read(id))["run"] is None


async def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    models = LoadingModels(SteppedModel(says("fine")), OutOfMemory("It needs more.", ""))
    models.loaded.set()
    async with chatting(tmp_path, models=models, socket=True) as chats:
        id = await chats.chat()
        refused = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": {"content": "hi"}})
        assert refused.status_code == 503 and (await chats.read(id))["messages"] == []
