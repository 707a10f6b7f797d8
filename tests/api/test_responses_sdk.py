"""OpenAI's and Mistral's SDKs at the responses endpoint of the real application, on a socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import openai
import pytest
from mistralai.client import Mistral
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from ggufrun.chat.types import ChatRequest, ChoiceFinished, TextDelta
from ggufrun.errors import EngineBusy, EngineCrashed
from tests.api.agents import CALLED, DONE, SAID, SCHEMA, START
from tests.api.scripted import PlayedModel, listening

pytestmark = pytest.mark.process

ASKED: dict[str, Any] = {"model": "played", "input": "Weather?"}
TOOLS: list[Any] = [
    {"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in ("weather", "now")
]
CUT = (*START, TextDelta("half"), ChoiceFinished("length"), DONE)
FAILED = (*START, TextDelta("half"), EngineCrashed("signal 9"))
T = TypeVar("T")


@asynccontextmanager
async def address_of(model: PlayedModel) -> AsyncIterator[str]:
    async with listening(model) as client:
        yield str(client.base_url).rstrip("/")


async def with_openai(model: PlayedModel, use: Callable[[OpenAI], T]) -> T:
    def run(address: str) -> T:
        with OpenAI(api_key="k", base_url=f"{address}/v1", max_retries=0, timeout=60) as client:
            return use(client)

    async with address_of(model) as address:
        return await asyncio.to_thread(run, address)


async def with_mistral(model: PlayedModel, use: Callable[[Mistral], T]) -> T:
    def run(address: str) -> T:
        with Mistral(api_key="k", server_url=address, timeout_ms=10_000) as client:
            return use(client)

    async with address_of(model) as address:
        return await asyncio.to_thread(run, address)


def check(response: Any) -> None:
    thought, said, weather, now = response.output
    assert [part.text for part in thought.content] == ["Which city?"]
    assert [part.text for part in said.content] == ["I look."]
    assert (weather.call_id, weather.name, weather.arguments) == ("abcdefghi", "weather", '{"city": "Paris"}')
    assert (now.call_id, now.name, now.arguments) == ("jklmnopqr", "now", "{}")
    usage = response.usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.total_tokens) == (20, 12, 29)
    assert response.status == "completed"


def openais_stream(client: OpenAI) -> Response:
    with client.responses.stream(**ASKED, tools=TOOLS) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert text == "I look."
        return stream.get_final_response()


async def test_openais_client() -> None:
    whole = await with_openai(PlayedModel(CALLED), lambda client: client.responses.create(**ASKED, tools=TOOLS))
    check(whole)
    assert whole.output_text == "I look."
    Response.model_validate(whole.to_dict())  # the SDK itself checks nothing
    check(await with_openai(PlayedModel(CALLED), openais_stream))


async def test_openais_asynchronous_client() -> None:
    async with (
        address_of(PlayedModel(CALLED)) as address,
        AsyncOpenAI(api_key="k", base_url=f"{address}/v1", max_retries=0, timeout=60) as client,
    ):
        check(await client.responses.create(**ASKED, tools=TOOLS))
        events = [event async for event in await client.responses.create(**ASKED, tools=TOOLS, stream=True)]
    check(events[-1].response)
    for event in events:
        type(event).model_validate(event.to_dict())


async def test_mistrals_client() -> None:
    check(await with_mistral(PlayedModel(CALLED), lambda client: client.responses.create(**ASKED, tools=TOOLS)))

    def stream(client: Mistral) -> Any:
        with client.responses.create(**ASKED, tools=TOOLS, stream=True) as frames:
            events = [frame.data for frame in frames]
        assert "".join(each.delta for each in events if each.type == "response.output_text.delta") == "I look."
        return events[-1].response

    check(await with_mistral(PlayedModel(CALLED), stream))


async def test_mistrals_asynchronous_client() -> None:
    async with (
        address_of(PlayedModel(CALLED)) as address,
        Mistral(api_key="k", server_url=address, timeout_ms=10_000) as client,
    ):
        check(await client.responses.create_async(**ASKED, tools=TOOLS))
        async with await client.responses.create_async(**ASKED, tools=TOOLS, stream=True) as frames:
            events = [frame.data async for frame in frames]
    check(events[-1].response)


class Place(BaseModel):
    city: str


async def test_a_parsed_answer() -> None:
    model = PlayedModel((*START, TextDelta('{"city": "Paris"}'), ChoiceFinished("stop"), DONE))
    parsed = await with_openai(model, lambda client: client.responses.parse(**ASKED, text_format=Place))
    assert parsed.output_parsed == Place(city="Paris")
    request = model.requests[0]
    assert isinstance(request, ChatRequest) and request.constraint is not None and request.constraint.strict


async def test_a_tool_loop() -> None:
    class Turns(PlayedModel):
        def complete(self, *arguments: Any) -> Any:
            self.script = CALLED if not self.requests else SAID
            return super().complete(*arguments)

    def loop(client: OpenAI) -> str:
        items: list[Any] = [{"role": "user", "content": "Weather?"}]
        first = client.responses.create(model="played", input=items, tools=TOOLS)
        items += first.output
        for item in first.output:
            if item.type == "function_call":
                items.append({"type": "function_call_output", "call_id": item.call_id, "output": f"{item.name}!"})
        return client.responses.create(model="played", input=items, tools=TOOLS).output_text

    model = Turns(())
    assert await with_openai(model, loop) == "Hi there."
    request = model.requests[1]
    assert isinstance(request, ChatRequest)
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "tool"]
    assert [call.id for call in request.messages[1].tool_calls or ()] == ["abcdefghi", "jklmnopqr"]


async def test_counting() -> None:
    counted = await with_openai(PlayedModel(()), lambda client: client.responses.input_tokens.count(**ASKED))
    assert counted.input_tokens == 10
    mistrals = await with_mistral(PlayedModel(()), lambda client: client.responses.count_input_tokens(**ASKED))
    assert mistrals.input_tokens == 10


async def test_ends_that_are_not_good() -> None:
    cut = await with_openai(PlayedModel(CUT), lambda client: client.responses.create(**ASKED, max_output_tokens=1))
    assert cut.status == "incomplete" and cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"

    def last(client: Any) -> Any:
        with client.responses.create(**ASKED, stream=True) as events:
            return list(events)[-1]

    for script, kind in ((CUT, "response.incomplete"), (FAILED, "response.failed")):
        assert (await with_openai(PlayedModel(script), last)).type == kind
        assert (await with_mistral(PlayedModel(script), last)).data.type == kind
    failed = (await with_mistral(PlayedModel(FAILED), last)).data.response
    assert (failed.status, failed.error.code) == ("failed", "server_error") and "signal 9" in failed.error.message


async def test_errors() -> None:
    def fails(client: OpenAI) -> Any:
        with pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(**ASKED, previous_response_id="resp_1")
        return caught.value

    refused = await with_openai(PlayedModel(SAID), fails)
    assert (refused.status_code, refused.param) == (422, "previous_response_id") and "as input" in str(refused)
    busy = await with_openai(PlayedModel((EngineBusy(1),)), lambda client: _status(client))
    assert busy == 429


def _status(client: OpenAI) -> int:
    with pytest.raises(openai.APIStatusError) as caught:
        client.responses.create(**ASKED)
    return caught.value.status_code
