"""However a call ends, it is recorded once, with what it used: in the ledger's file and in the metrics."""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.manage.metrics import Metrics
from ggufrun.chat.types import (
    AnyRequest,
    ChatEvent,
    ChoiceFinished,
    Completed,
    Meter,
    ModelInfo,
    Price,
    PromptProcessed,
    Started,
    TextDelta,
    ToolCallDelta,
)
from ggufrun.engine.types import Stats
from ggufrun.errors import EngineBusy, EngineCrashed, OutOfRange
from ggufrun.pool.served import OneModel
from ggufrun.records import ledger as ledger_module
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from tests.api.entries import STEPS, rows
from tests.api.scripted import PlayedModel, listening, until_ended

pytestmark = pytest.mark.process

CHAT = "/v1/chat/completions"
HELLO = {"model": "played", "messages": [{"role": "user", "content": "a secret question"}]}
START: tuple[ChatEvent, ...] = (Started(7, 100), PromptProcessed(7, 7, 3))
DONE = Completed(7, 2, (Stats(7, 2, cached_tokens=3, generation_s=0.1),), 0.05, 0.2, 9, 100)
WHOLE = (*START, TextDelta("half"), TextDelta(" full"), ChoiceFinished("length"), DONE)
COST = (7 * 1.5 + 2 * 7.5) / 1e6


@dataclass
class MeteredModel(PlayedModel):
    """Counts a token for each text, as the real one does; has a price."""

    @property
    def info(self) -> ModelInfo:
        more: dict[str, Any] = {"file": "played.Q4_1.gguf", "quant": "Q4_1", "aliases": ("other-name",)}
        return ModelInfo("played", 100, 100, 256, 1000, "a script", price=Price(1.5, 7.5), **more)

    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        return self._metered(super().complete(request), meter or Meter())

    async def _metered(self, events: AsyncGenerator[ChatEvent, None], meter: Meter) -> AsyncGenerator[ChatEvent, None]:
        try:
            async for event in events:
                if isinstance(event, PromptProcessed):
                    meter.prompt_tokens, meter.cached_tokens = event.total, event.cached
                elif isinstance(event, TextDelta):
                    meter.completion_tokens += 1
                    meter.ttft_s = meter.ttft_s or 0.05
                yield event
        finally:
            await events.aclose()


@dataclass
class Recorded:
    client: httpx.AsyncClient
    model: MeteredModel
    gateway: Gateway
    path: Path

    async def rows(self, calls: int = 1) -> list[dict[str, Any]]:
        """What is in the file, once so many calls are; and no more come a moment later."""
        for _ in range(STEPS):
            if len(rows(self.path)) >= calls:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        found = rows(self.path)
        assert len(found) == calls, found
        return found

    async def metrics(self) -> list[str]:
        return (await self.client.get("/metrics")).text.splitlines()

    async def cut(self, *, streamed: bool) -> None:
        """A client that leaves when the answer has begun."""
        body = HELLO | {"stream": streamed}
        if streamed:
            async with self.client.stream("POST", CHAT, json=body) as response:
                async for line in response.aiter_lines():
                    if "half" in line:
                        break
        else:
            asking = asyncio.create_task(self.client.post(CHAT, json=body))
            for _ in range(STEPS):
                if self.model.answers:
                    break
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.05)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await until_ended(self.model)


@pytest.fixture(autouse=True)
def written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "GATHER_S", 0.01)


@asynccontextmanager
async def recorded(
    tmp_path: Path, script: Sequence[ChatEvent | Exception | None], settings: ServerSettings | None = None
) -> AsyncIterator[Recorded]:
    path, model = tmp_path / "ggufrun.db", MeteredModel(script)
    ledger, keys = Ledger(path), KeyStore(path)
    gateway = Gateway(OneModel(model), settings or ServerSettings(), Metrics(), keys, ledger)
    try:
        async with listening(model, gateway) as client:
            yield Recorded(client, model, gateway, path)
    finally:
        ledger.close()
        keys.close()


def content(path: Path) -> bytes:
    return path.read_bytes()


def counted(call: dict[str, Any]) -> tuple[int, int, int]:
    return call["prompt_tokens"], call["cached_tokens"], call["completion_tokens"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_whole_answer(tmp_path: Path, streamed: bool) -> None:
    async with recorded(tmp_path, WHOLE) as server:
        response = await server.client.post(CHAT, json=HELLO | {"stream": streamed})
        assert response.status_code == 200
        (call,) = await server.rows()
        metrics = await server.metrics()
    assert (call["status"], call["finish_reason"], call["endpoint"]) == (200, "length", CHAT)
    assert (call["model"], call["file"], call["quant"], call["key"]) == ("played", "played.Q4_1.gguf", "Q4_1", "")
    assert counted(call) == (7, 3, 2) and call["usd"] == pytest.approx(COST)
    assert call["ttft_s"] == 0.05 and call["tokens_per_s"] == pytest.approx(20) and 0 < call["total_s"] < 5
    assert call["request_id"] == response.headers["x-request-id"]
    assert f'ggufrun_requests_total{{endpoint="{CHAT}",model="played",status="200"}} 1.0' in metrics
    assert rows(tmp_path / "ggufrun.db", "texts") == []
    assert [file for file in os.listdir(tmp_path) if b"secret" in content(tmp_path / file)] == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves(tmp_path: Path, streamed: bool) -> None:
    async with recorded(tmp_path, (*START, TextDelta("half"), TextDelta("x"), TextDelta("y"), None)) as server:
        await server.cut(streamed=streamed)
        (call,) = await server.rows()
    assert (call["status"], call["finish_reason"]) == (499, "cancelled")
    assert counted(call) == (7, 3, 3) and call["ttft_s"] == 0.05
    assert call["usd"] == pytest.approx((7 * 1.5 + 3 * 7.5) / 1e6)


async def test_a_client_that_leaves_before_the_first_token(tmp_path: Path) -> None:
    async with recorded(tmp_path, (*START, None)) as server:
        with pytest.raises(httpx.ReadTimeout):
            await server.client.post(CHAT, json=HELLO, timeout=httpx.Timeout(60, read=0.5))
        await until_ended(server.model)
        (call,) = await server.rows()
    assert (call["status"], call["finish_reason"]) == (499, "cancelled")
    assert counted(call) == (7, 3, 0) and call["ttft_s"] is None and call["tokens_per_s"] == 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("error", "status"), [(EngineCrashed("signal 9"), 503), (ValueError("a bug"), 500)])
async def test_an_answer_that_fails_on_the_way(tmp_path: Path, streamed: bool, error: Exception, status: int) -> None:
    async with recorded(tmp_path, (*START, TextDelta("half"), error)) as server:
        response = await server.client.post(CHAT, json=HELLO | {"stream": streamed})
        assert response.status_code == (200 if streamed else status)
        (call,) = await server.rows()
    assert (call["status"], call["finish_reason"], counted(call)) == (status, "server_error", (7, 3, 1))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [(OutOfRange("No.", "", "n"), 422, "invalid_request_error"), (EngineBusy(3), 429, "rate_limited")],
)
async def test_a_request_that_is_refused_before_it_starts(
    tmp_path: Path, streamed: bool, error: Exception, status: int, kind: str
) -> None:
    async with recorded(tmp_path, (error,)) as server:
        response = await server.client.post(CHAT, json=HELLO | {"stream": streamed})
        assert response.status_code == status
        (call,) = await server.rows()
    assert (call["status"], call["finish_reason"], call["model"]) == (status, kind, "played")
    assert counted(call) == (0, 0, 0) and call["usd"] == 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_key_without_the_right_and_one_whose_tokens_are_used_up(tmp_path: Path, streamed: bool) -> None:
    async with recorded(tmp_path, WHOLE) as server:
        assert server.gateway.keys is not None
        limited = server.gateway.keys.add("limited", tokens_per_day=10)
        elsewhere = server.gateway.keys.add("elsewhere", models=("another",))
        body = HELLO | {"stream": streamed, "model": "Other-Name"}
        for secret, status in ((limited, 200), (limited, 200), (limited, 429), (elsewhere, 403)):
            response = await server.client.post(CHAT, json=body, headers={"Authorization": f"Bearer {secret}"})
            assert response.status_code == status, response.text
        found = await server.rows(4)
    assert [(call["key"], call["status"]) for call in found] == [
        ("limited", 200),
        ("limited", 200),
        ("limited", 429),
        ("elsewhere", 403),
    ]
    assert {call["model"] for call in found} == {"played"}


async def test_what_never_came_to_a_model_is_counted_and_not_in_the_ledger(tmp_path: Path) -> None:
    async with recorded(tmp_path, WHOLE) as server:
        for body, status in (
            (HELLO | {"model": "unknown-model"}, 400),
            (HELLO | {"messages": 5}, 422),
            (HELLO | {"messages": [], "n": "x"}, 422),
        ):
            assert (await server.client.post(CHAT, json=body)).status_code == status
        assert (await server.client.get("/no/such/path")).status_code == 404
        assert (await server.client.get("/v1/models/no-such-model")).status_code == 404
        assert server.gateway.keys is not None
        key = server.gateway.keys.add("someone")
        assert (await server.client.post(CHAT, json=HELLO)).status_code == 401
        server.client.headers["Authorization"] = f"Bearer {key}"
        metrics = "\n".join(await server.metrics())
        await asyncio.sleep(0.1)
        assert rows(server.path) == []
    for endpoint, status, count in (
        (CHAT, 400, 1),
        (CHAT, 422, 2),
        (CHAT, 401, 1),
        ("other", 404, 1),
        ("/v1/models/{id:path}", 404, 1),
    ):
        line = f'ggufrun_requests_total{{endpoint="{endpoint}",model="",status="{status}"}} {count}.0'
        assert line in metrics, metrics
    assert "no-such" not in metrics and "unknown-model" not in metrics


@pytest.mark.parametrize("streamed", [False, True])
async def test_texts_are_kept_only_with_log_prompts(tmp_path: Path, streamed: bool) -> None:
    call = ToolCallDelta(0, "abcdefghi", "weather", '{"city": ')
    script = (*START, TextDelta("half"), call, ToolCallDelta(0, "", "", '"Paris"}'), ChoiceFinished("tool_calls"), DONE)
    async with recorded(tmp_path, script, ServerSettings(log_prompts=True)) as server:
        body = json.dumps(HELLO | {"stream": streamed}).replace("secret", "secret é \\ud83d")  # half a character
        headers = {"Content-Type": "application/json"}
        assert (await server.client.post(CHAT, content=body, headers=headers)).status_code == 200
        (call_row,) = await server.rows()
    (text,) = rows(tmp_path / "ggufrun.db", "texts")
    assert text["request_id"] == call_row["request_id"] and "a secret é \ufffd question" in text["prompt"]
    assert json.loads(text["answer"]) == [
        {"text": "half", "thinking": "", "tool_calls": [{"name": "weather", "arguments": '{"city": "Paris"}'}]}
    ]


async def test_the_cost_is_in_the_reply(tmp_path: Path) -> None:
    async with recorded(tmp_path, WHOLE) as server:
        whole = await server.client.post(CHAT, json=HELLO)
        streamed = await server.client.post(CHAT, json=HELLO | {"stream": True})
    assert whole.json()["usage"]["cost_usd"] == pytest.approx(COST)
    assert float(whole.headers["x-ggufrun-cost-usd"]) == pytest.approx(COST, abs=1e-8)
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    assert chunks[-1]["usage"]["cost_usd"] == pytest.approx(COST)
    assert "x-ggufrun-cost-usd" not in streamed.headers  # it goes out before the cost is known


async def test_a_ledger_that_cannot_be_written_fails_no_call(tmp_path: Path) -> None:
    async with recorded(tmp_path, WHOLE) as server:
        assert server.gateway.ledger is not None
        with sqlite3.connect(server.path, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            for streamed in (False, True):
                response = await server.client.post(CHAT, json=HELLO | {"stream": streamed})
                assert response.status_code == 200
            other.execute("ROLLBACK")
        other.close()
        await server.rows(2)


async def test_the_state_of_the_models(tmp_path: Path) -> None:
    async with recorded(tmp_path, (*START, TextDelta("half"), None)) as server:
        async with server.client.stream("POST", CHAT, json=HELLO | {"stream": True}) as response:
            async for line in response.aiter_lines():
                if "half" in line:
                    metrics = await server.metrics()
                    break
        assert "ggufrun_models_loaded 1.0" in metrics
        assert 'ggufrun_active_requests{model="played"} 1.0' in metrics
        await until_ended(server.model)
        assert 'ggufrun_active_requests{model="played"} 0.0' in await server.metrics()


async def test_metrics_need_a_key_where_keys_exist(tmp_path: Path) -> None:
    async with recorded(tmp_path, WHOLE) as server:
        assert (await server.client.get("/metrics")).status_code == 200
        assert server.gateway.keys is not None
        key = server.gateway.keys.add("prometheus")
        assert (await server.client.get("/metrics")).status_code == 401
        scraped = await server.client.get("/metrics", headers={"Authorization": f"Bearer {key}"})
        assert scraped.status_code == 200 and scraped.headers["content-type"].startswith("text/plain; version=")
        accept = {"Authorization": f"Bearer {key}", "Accept": "application/openmetrics-text; version=1.0.0"}
        assert (await server.client.get("/metrics", headers=accept)).text.endswith("# EOF\n")


async def test_the_metrics_of_a_call(tmp_path: Path) -> None:
    async with recorded(tmp_path, WHOLE) as server:
        for _ in range(2):
            await server.client.post(CHAT, json=HELLO)
        metrics = await server.metrics()
    for line in (
        'ggufrun_tokens_total{kind="prompt",model="played"} 14.0',
        'ggufrun_tokens_total{kind="cached",model="played"} 6.0',
        'ggufrun_tokens_total{kind="completion",model="played"} 4.0',
        'ggufrun_ttft_seconds_bucket{le="0.05",model="played"} 2.0',
        'ggufrun_request_seconds_count{model="played"} 2.0',
        'ggufrun_tokens_per_second_sum{model="played"} 40.0',
    ):
        assert line in metrics, "\n".join(metrics)
    assert not [line for line in metrics if "_created" in line]
