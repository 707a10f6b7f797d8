"""Replies of a route over HTTP: which engine has answered and why, in headers, bodies, SDKs, ledger and metrics."""

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ggufrun.api.app import gateway_for
from ggufrun.api.front.access import Access
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.manage.metrics import Metrics
from ggufrun.errors import EngineBusy
from ggufrun.pool.served import OneModel
from ggufrun.records.calls import last_calls
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from ggufrun.routing.reasons import in_one_line
from ggufrun.routing.settings import Escalation, RouteSettings
from ggufrun.ui.chat.conversation import Conversation, Said
from ggufrun.ui.chat.meter import finished
from tests.api.chatting import chatting
from tests.api.entries import until_written
from tests.api.scripted import listening
from tests.routing.played import Engine, Fleet, fleet, said

ROUTE = RouteSettings("r", ("small", "hosted"), escalate=Escalation(min_logprob=-1, header=True))
WHY = "escalated: mean log-probability -2.00 under -1"
ROUTED = {"engine": "hosted", "why": WHY}
ASK: dict[str, Any] = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}
HEADERS = ("x-ggufrun-engine", "x-ggufrun-why")


def doubtful() -> Fleet:
    return fleet(Engine("small", said("a", sure=-2), usd=0.25), Engine("hosted", said("better"), usd=1.0))


def chunks(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


async def test_a_whole_answer_names_its_engine() -> None:
    async with listening(doubtful().route(ROUTE)) as client:
        reply = await client.post("/v1/chat/completions", json=ASK)
    assert reply.status_code == 200, reply.text
    assert [reply.headers[name] for name in HEADERS] == ["hosted", WHY]
    assert reply.json()["ggufrun"] == ROUTED and reply.json()["model"] == "r"
    assert reply.json()["choices"][0]["message"]["content"] == "better"


async def test_a_stream_names_it_in_its_headers_and_last_chunk() -> None:
    async with listening(doubtful().route(ROUTE)) as client:
        reply = await client.post("/v1/chat/completions", json={**ASK, "stream": True})
    assert [reply.headers[name] for name in HEADERS] == ["hosted", WHY]
    found = chunks(reply.text)
    assert found[-1]["ggufrun"] == ROUTED and not any("ggufrun" in chunk for chunk in found[:-1])


async def test_a_name_may_have_any_letters() -> None:
    there = fleet(Engine("größe-模型:Q4 0", said("a")))
    async with listening(there.route(RouteSettings("r", ("größe-模型:Q4 0",)))) as client:
        for streamed in (False, True):
            reply = await client.post("/v1/chat/completions", json={**ASK, "stream": streamed})
            assert reply.status_code == 200 and unquote(reply.headers["x-ggufrun-engine"]) == "größe-模型:Q4 0"


async def test_raw_prompts_name_it_too() -> None:
    async with listening(doubtful().route(ROUTE)) as client:
        one = await client.post("/v1/completions", json={"model": "r", "prompt": "x"})
        several = await client.post("/v1/completions", json={"model": "r", "prompt": ["x", "y"]})
    assert one.json()["ggufrun"] == ROUTED
    assert several.json()["ggufrun"] == {"engine": "small", "why": "first"}  # of several none escalates
    assert len(several.json()["choices"]) == 2


async def test_the_header_escalates() -> None:
    there = fleet(Engine("small", said("a")), Engine("hosted", said("better")))
    async with listening(there.route(ROUTE)) as client:
        plain = await client.post("/v1/chat/completions", json=ASK)
        pushed = await client.post("/v1/chat/completions", json=ASK, headers={"x-ggufrun-escalate": "1"})
        other = await client.post("/v1/messages", json={**ASK, "max_tokens": 9}, headers={"x-ggufrun-escalate": "1"})
    assert (plain.headers["x-ggufrun-engine"], plain.headers["x-ggufrun-why"]) == ("small", "first")
    assert pushed.headers["x-ggufrun-why"] == "escalated: the client asks for it"
    assert other.headers["x-ggufrun-engine"] == "hosted" and other.status_code == 200


async def test_without_a_route_nothing_is_said() -> None:
    async with listening(Engine("small", said("a"))) as client:
        reply = await client.post("/v1/chat/completions", json={**ASK, "model": "small"})
    assert "ggufrun" not in reply.json() and "x-ggufrun-engine" not in reply.headers


async def test_a_run_of_a_chat_keeps_it(tmp_path: Path) -> None:
    async with chatting(tmp_path, models=OneModel(doubtful().route(ROUTE))) as chats:
        message = await chats.answered(await chats.chat(), "Hi")
    assert message["content"] == "better" and message["meta"]["ggufrun"] == ROUTED


async def test_an_error_of_all_engines_is_the_first_one_s() -> None:
    there = fleet(Engine("small", [EngineBusy(3)]), Engine("hosted", [EngineBusy(4)]))
    async with listening(there.route(ROUTE)) as client:
        reply = await client.post("/v1/chat/completions", json=ASK)
    assert reply.status_code == 429 and "small is overloaded, hosted is overloaded" in reply.json()["message"]


async def test_a_client_that_leaves_a_held_answer_ends_it() -> None:
    """Nothing is sent before the answer is judged, so that nothing else would notice."""
    there = fleet(Engine("small", [*said("a")[:2], None]), Engine("hosted", said("b")))
    async with listening(there.route(ROUTE)) as client:
        asking = asyncio.create_task(client.post("/v1/chat/completions", json={**ASK, "stream": True}))
        async with asyncio.timeout(30):
            await there.engines["small"].stuck.wait()
            asking.cancel()
            while there.held:  # noqa: ASYNC110 - the fleet has no event
                await asyncio.sleep(0.01)
    assert there.engines["small"].closed == 1 and there.leased == ["small"]


async def test_ledger_and_metrics_know_engine_and_cost(tmp_path: Path) -> None:
    ledger, metrics = Ledger(tmp_path / "ggufrun.db"), Metrics()
    gateway = Gateway(OneModel(doubtful().route(ROUTE)), ServerSettings(), metrics, ledger=ledger)
    try:
        async with listening(doubtful().route(ROUTE), gateway) as client:
            await client.post("/v1/chat/completions", json=ASK)
            await client.post("/v1/chat/completions", json={**ASK, "stream": True})
            scraped = (await client.get("/metrics")).text
    finally:
        ledger.close()
    for call in last_calls(tmp_path / "ggufrun.db", 9):
        assert (call.entry.model, call.entry.engine, call.entry.spent_usd) == ("r", "hosted", 1.25)
        assert call.entry.completion_tokens == 1  # of the answer that was given
    assert 'ggufrun_routed_total{engine="hosted",model="r",why="escalated"} 2.0' in scraped
    assert 'ggufrun_spent_usd_total{model="r"} 2.5' in scraped


async def test_what_is_thrown_away_counts_for_the_key_s_day(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    with closing(KeyStore(path)) as keys, closing(Ledger(path)) as ledger:
        secret = keys.add("a", tokens_per_day=22)  # the second attempt alone has 11
        gateway = replace(gateway_for(doubtful().route(ROUTE)), keys=keys, ledger=ledger)
        async with listening(doubtful().route(ROUTE), gateway) as client:
            headers = {"Authorization": f"Bearer {secret}"}
            first = await client.post("/v1/chat/completions", json=ASK, headers=headers)
            waiting = await ledger.used_today("a")
            await asyncio.to_thread(until_written, path, 1)
            second = await client.post("/v1/chat/completions", json=ASK, headers=headers)
            written = await ledger.used_today("a")
    assert first.status_code == 200 and first.json()["usage"]["total_tokens"] == 11
    assert (waiting, written) == (22, 22) and second.status_code == 429
    assert last_calls(path, 1)[0].entry.model == "r"


async def test_several_prompts_that_are_left_are_paid(tmp_path: Path) -> None:
    """An engine elsewhere says what it charges when it is closed."""
    there = fleet(Engine("small", [*said("a")[:2], None], usd=0.5), Engine("hosted", said("b")))
    ledger = Ledger(tmp_path / "ggufrun.db")
    gateway = replace(gateway_for(there.route(ROUTE)), ledger=ledger)
    try:
        async with listening(there.route(ROUTE), gateway) as client:
            body = {"model": "r", "prompt": ["x", "y"]}
            asking = asyncio.create_task(client.post("/v1/completions", json=body))
            async with asyncio.timeout(30):
                await there.engines["small"].stuck.wait()
                asking.cancel()
                while there.held:  # noqa: ASYNC110 - the fleet has no event
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(until_written, tmp_path / "ggufrun.db", 1)
    finally:
        ledger.close()
    (call,) = last_calls(tmp_path / "ggufrun.db", 9)
    assert (call.entry.status, call.entry.spent_usd) == (499, 1.0)


@pytest.mark.parametrize("hostile", ["a\r\nx-evil: 1", "a\x00\x1b\x7fb", "\u2028\xe9"])
def test_a_reason_can_be_no_header_of_its_own(hostile: str) -> None:
    line = in_one_line([("fallback", hostile)])
    assert line.isascii() and line.isprintable() and line.startswith("fallback: ")


def test_the_log_names_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ggufrun.access")
    Access("id", 200, model="r", engine="fast", why='fallback: "small"').write({"method": "POST", "path": "/v1/x"})
    assert caplog.messages[0].endswith('model=r engine=fast why="fallback: \\"small\\""')


@pytest.mark.process
async def test_both_sdks_read_it() -> None:
    openai, mistralai = pytest.importorskip("openai"), pytest.importorskip("mistralai.client")

    def ask(base_url: str) -> None:
        with openai.OpenAI(api_key="k", base_url=f"{base_url}/v1", max_retries=0) as one:
            whole = one.chat.completions.create(**ASK)
            assert whole.choices[0].message.content == "better" and whole.model_extra["ggufrun"] == ROUTED
            last = list(one.chat.completions.create(**ASK, stream=True))[-1]
            assert last.model_extra["ggufrun"] == ROUTED
        with mistralai.Mistral(api_key="k", server_url=base_url) as other:
            assert other.chat.complete(**ASK).choices[0].message.content == "better"
            texts = [event.data.choices[0].delta.content for event in other.chat.stream(**ASK)]
            assert "".join(text for text in texts if text) == "better"

    async with listening(doubtful().route(ROUTE), gateway_for(doubtful().route(ROUTE))) as client:
        await asyncio.to_thread(ask, str(client.base_url).rstrip("/"))


def test_the_page_says_which_engine_it_was() -> None:
    routed = {"ggufrun": {"engine": "fast", "why": "fallback: <b>small</b> is down"}}
    shown = finished(Conversation("c", (Said("a", "assistant", meta=routed),), head="a"))
    assert "by fast" in shown and "fallback: &lt;b&gt;small" in shown
    for wrong in ({"ggufrun": 7}, {"ggufrun": {"engine": ["x"], "why": {}}}, {"ggufrun": {"engine": "x"}}):
        assert finished(Conversation("c", (Said("a", "assistant", meta=wrong),), head="a")) == ""
