"""Anthropic's own SDK against the real application on a socket: whole and streamed, in both of its forms."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ggufrun.api.app import gateway_for
from ggufrun.api.gateway import Gateway
from ggufrun.chat.types import ChatEvent, ChatRequest, ChoiceFinished, TextDelta
from ggufrun.errors import EngineBusy, EngineCrashed
from ggufrun.records.keys import KeyStore
from tests.api.agents import CALLED, DONE, SAID, SCHEMA, START
from tests.api.scripted import PlayedModel, listening

pytestmark = pytest.mark.process


@cache
def sdk() -> Any:
    return pytest.importorskip("anthropic")  # not above: it takes a second


ASKED: dict[str, Any] = {"model": "played", "max_tokens": 50, "messages": [{"role": "user", "content": "Weather?"}]}
TOOLS: list[Any] = [{"name": name, "description": name, "input_schema": SCHEMA} for name in ("weather", "now")]
T = TypeVar("T")


@asynccontextmanager
async def address_of(model: PlayedModel, gateway: Gateway | None = None) -> AsyncIterator[str]:
    async with listening(model, gateway) as client:
        yield str(client.base_url).rstrip("/")


async def in_thread(model: PlayedModel, use: Callable[[Any], T], gateway: Gateway | None = None, key: str = "k") -> T:
    """What `use` makes of the synchronous client."""

    def run(address: str) -> T:
        with sdk().Anthropic(api_key=key, base_url=address, max_retries=0, timeout=60) as client:
            return use(client)

    async with address_of(model, gateway) as address:
        return await asyncio.to_thread(run, address)


async def awaited(model: PlayedModel, use: Callable[[Any], Awaitable[T]]) -> T:
    """What `use` makes of the asynchronous client."""
    async with (
        address_of(model) as address,
        sdk().AsyncAnthropic(api_key="k", base_url=address, max_retries=0, timeout=60) as client,
    ):
        return await use(client)


def check(message: Any) -> None:
    thought, said, weather, now = message.content
    assert (thought.type, thought.thinking) == ("thinking", "Which city?")
    assert (said.type, said.text) == ("text", "I look.")
    assert (weather.id, weather.name, weather.input) == ("abcdefghi", "weather", {"city": "Paris"})
    assert (now.id, now.name, now.input) == ("jklmnopqr", "now", {})
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (8, 12, 9)


def streamed(client: Any) -> Any:
    with client.messages.stream(**ASKED, tools=TOOLS) as stream:
        assert "".join(stream.text_stream) == "I look."
        return stream.get_final_message()


async def test_the_synchronous_client() -> None:
    message = await in_thread(PlayedModel(CALLED), lambda client: client.messages.create(**ASKED, tools=TOOLS))
    check(message)
    assert message._request_id
    check(await in_thread(PlayedModel(CALLED), streamed))


async def test_the_asynchronous_client() -> None:
    check(await awaited(PlayedModel(CALLED), lambda client: client.messages.create(**ASKED, tools=TOOLS)))

    async def stream(client: Any) -> Any:
        async with client.messages.stream(**ASKED, tools=TOOLS) as events:
            assert "".join([text async for text in events.text_stream]) == "I look."
            return await events.get_final_message()

    check(await awaited(PlayedModel(CALLED), stream))


async def test_raw_events() -> None:
    def kinds(client: Any) -> list[str]:
        return [event.type for event in client.messages.create(**ASKED, stream=True)]

    assert await in_thread(PlayedModel(SAID), kinds) == [
        *("message_start", "content_block_start", "content_block_delta", "content_block_delta"),
        *("content_block_stop", "message_delta", "message_stop"),
    ]


async def test_a_tool_loop() -> None:
    class Turns(PlayedModel):
        def complete(self, *arguments: Any) -> Any:
            self.script = CALLED if not self.requests else SAID
            return super().complete(*arguments)

    def loop(client: Any) -> str:
        messages: list[Any] = list(ASKED["messages"])
        first = client.messages.create(**ASKED | {"messages": messages}, tools=TOOLS)
        messages.append({"role": "assistant", "content": first.content})
        calls = [block for block in first.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name}!"} for call in calls]
        messages.append({"role": "user", "content": results})
        last = client.messages.create(**ASKED | {"messages": messages}, tools=TOOLS)
        assert last.stop_reason == "end_turn"
        return str(last.content[0].text)

    model = Turns(())
    assert await in_thread(model, loop) == "Hi there."
    request = model.requests[1]
    assert isinstance(request, ChatRequest)
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "tool"]
    assert [message.content for message in request.messages[2:]] == ["weather!", "now!"]


async def test_counting() -> None:
    def count(client: Any) -> int:
        return int(client.messages.count_tokens(model="played", messages=ASKED["messages"], tools=TOOLS).input_tokens)

    assert await in_thread(PlayedModel(()), count) == 10


async def test_a_stop_sequence() -> None:
    script: Sequence[ChatEvent] = (*START, TextDelta("a"), ChoiceFinished("stop", stop="END"), DONE)
    message = await in_thread(
        PlayedModel(script), lambda client: client.messages.create(**ASKED, stop_sequences=["END"])
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


async def test_errors() -> None:
    def fails(client: Any) -> Any:
        with pytest.raises(sdk().APIStatusError) as caught:
            client.messages.create(**ASKED)
        return caught.value

    busy = await in_thread(PlayedModel((EngineBusy(1),)), fails)
    assert isinstance(busy, sdk().RateLimitError) and "queue is full" in str(busy) and busy.request_id
    crashed = await in_thread(PlayedModel((EngineCrashed("signal 9"),)), fails)
    assert isinstance(crashed, sdk().InternalServerError) and crashed.status_code == 503


async def test_a_stream_that_fails() -> None:
    def fails(client: Any) -> str:
        with pytest.raises(sdk().APIStatusError) as caught, client.messages.stream(**ASKED) as stream:
            assert next(iter(stream.text_stream)) == "half"
            stream.until_done()
        return str(caught.value)

    assert "signal 9" in await in_thread(PlayedModel((*START, TextDelta("half"), EngineCrashed("signal 9"))), fails)


async def test_keys(tmp_path: Path) -> None:
    model = PlayedModel(SAID)
    with closing(KeyStore(tmp_path / "keys.db")) as keys:
        gateway = replace(gateway_for(model), keys=keys)
        secret = keys.add("agent")
        said = await in_thread(model, lambda client: client.messages.create(**ASKED), gateway, secret)
        assert said.content[0].text == "Hi there."

        def fails(client: Any) -> None:
            with pytest.raises(sdk().AuthenticationError, match="not known") as caught:
                client.messages.create(**ASKED)
            assert caught.value.body["error"]["type"] == "authentication_error"

        await in_thread(model, fails, gateway, "gr-wrong")
