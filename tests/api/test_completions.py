"""POST /v1/completions: shapes, several prompts, logprobs, and what is refused."""

import asyncio
from typing import Any

import pytest

from ggufrun.api.calls.batch import complete
from ggufrun.chat.types import ChatOptions, Completed, Meter, Started, TextDelta, TextRequest
from ggufrun.engine.types import Failed, FinishReason, PromptProgress, TokenLogprob, Tokens
from tests.api.answering import answering
from tests.chat.local_model import model
from tests.fakes import FakeService

PATH = "/v1/completions"
STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH
BOS = 256


def said(text: str, end: FinishReason = STOP) -> list[Any]:
    return [PromptProgress(1, 1, 3, 1), tuple(text.encode()), end]


async def test_the_whole_answer() -> None:
    server = answering(said(" Paris."))
    body = (await server.post(PATH, prompt="The capital is")).json()
    assert (body["object"], body["model"]) == ("text_completion", "fake")
    assert isinstance(body["id"], str) and isinstance(body["created"], int)
    assert body["choices"] == [{"index": 0, "text": " Paris.", "logprobs": None, "finish_reason": "stop"}]
    assert [body["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")] == [15, 7, 22]
    request = server.service.requests[0]
    assert (request.prompt, request.max_tokens) == ((BOS, *b"The capital is"), 16)


async def test_the_fields_reach_the_engine() -> None:
    server = answering(said("x"))
    fields: dict[str, Any] = {"temperature": 0, "top_p": 0.5, "seed": 7, "max_tokens": 3, "presence_penalty": 1}
    body = await server.post(PATH, prompt="a", **fields, stop="y", logit_bias={"5": -1}, user="me", best_of=1, n=None)
    assert body.status_code == 200
    sampling = server.service.requests[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed, sampling.presence_penalty) == (0, 0.5, 7, 1)
    assert (sampling.logit_bias, server.service.requests[0].max_tokens) == (((5, -1.0),), 3)


async def test_the_stream() -> None:
    server = answering([(32,), tuple(b"Paris"), LENGTH])
    chunks = await server.chunks(PATH, prompt="a", stream_options={"include_usage": True})
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    pieces = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [piece["text"] for piece in pieces] == [" ", "Paris", ""]
    assert [piece["finish_reason"] for piece in pieces] == [None, None, "length"]
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == chunks[-2]["usage"]
    assert chunks[-1]["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize("prompt", ["ab", [97, 98]])
async def test_echo(prompt: Any) -> None:
    server = answering(said("c"))
    assert (await server.post(PATH, prompt=prompt, echo=True)).json()["choices"][0]["text"] == "abc"
    pieces = await answering(said("c")).chunks(PATH, prompt=prompt, echo=True, n=2)
    for index in range(2):
        texts = [c["text"] for chunk in pieces for c in chunk["choices"] if c["index"] == index]
        assert "".join(texts) == "abc"


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        (["ab", "c"], [(BOS, 97, 98), (BOS, 99)]),
        ([97, 98], [(97, 98)]),
        ([[97, 98], [99]], [(97, 98), (99,)]),
        (["ab"], [(BOS, 97, 98)]),
    ],
)
async def test_the_kinds_of_prompts(prompt: Any, tokens: list[Any]) -> None:
    server = answering(said("x"))
    body = (await server.post(PATH, prompt=prompt)).json()
    assert [request.prompt for request in server.service.requests] == tokens
    assert [choice["index"] for choice in body["choices"]] == list(range(len(tokens)))
    assert body["usage"]["prompt_tokens"] == sum(map(len, tokens))


async def test_several_prompts_with_several_choices() -> None:
    scripts = [said(text, end) for text, end in (("a0", STOP), ("a1", LENGTH), ("b0", STOP), ("b1", STOP))]
    body = (await answering(*scripts).post(PATH, prompt=["a", "bc"], n=2)).json()
    assert [choice["text"] for choice in body["choices"]] == ["a0", "a1", "b0", "b1"]
    assert [choice["finish_reason"] for choice in body["choices"]] == ["stop", "length", "stop", "stop"]
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (5, 8)
    chunks = await answering(*scripts).chunks(PATH, prompt=["a", "bc"], n=2)
    texts = {0: "", 1: "", 2: "", 3: ""}
    for piece in (choice for chunk in chunks for choice in chunk["choices"]):
        texts[piece["index"]] += piece["text"]
    assert texts == {0: "a0", 1: "a1", 2: "b0", 3: "b1"}
    assert chunks[-1]["usage"] == body["usage"]


async def test_logprobs_in_the_old_shape() -> None:
    first = TokenLogprob(0xC3, -0.5, ((0xC3, -0.5), (97, -1.5)))
    values = [first, TokenLogprob(0xA9, -0.25, ()), TokenLogprob(33, -1.0, ())]
    last = TokenLogprob(63, -2.0, ())
    script = [
        *(Tokens(1, (0xC3,), (first,)), Tokens(1, (0xA9, 33), tuple(values[1:]))),
        *(Tokens(1, (63,), (last,)), STOP),
    ]
    whole = (await answering(script).post(PATH, prompt="a", logprobs=2)).json()["choices"][0]
    assert whole["text"] == "é!?"
    assert whole["logprobs"]["token_logprobs"] == [-0.5, -0.25, -1.0, -2.0]
    assert whole["logprobs"]["tokens"] == ["\ufffd", "\ufffd", "!", "?"]
    assert whole["logprobs"]["top_logprobs"][0] == {"\ufffd": -0.5, "a": -1.5}
    assert whole["logprobs"]["text_offset"] == [0, 0, 1, 2]
    chunks = await answering(script).chunks(PATH, prompt="a", logprobs=2)
    parts = [c["logprobs"] for chunk in chunks for c in chunk["choices"] if c["logprobs"]]
    for name in ("tokens", "token_logprobs", "text_offset", "top_logprobs"):
        assert [value for part in parts for value in part[name]] == whole["logprobs"][name]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"prompt": "a", "best_of": 2}, 422, "best_of"),
        ({"prompt": "a", "echo": True, "logprobs": 0}, 422, "echo"),
        ({"prompt": ["a"] * 65}, 422, "prompt"),
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": ["a", ""], "max_tokens": 0}, 422, "max_tokens"),
        ({"prompt": [[97], [5000]]}, 422, "prompt"),
        ({"prompt": "a", "suffix": "b"}, 400, "suffix"),
        ({"prompt": "a" * 5000}, 400, "prompt"),
        ({"prompt": ["a", "b"], "n": 10**9}, 422, "n"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_refused(body: dict[str, Any], status: int, param: str, stream: bool) -> None:
    server = answering(said("x"))
    response = await server.post(PATH, **body, stream=stream)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)
    assert all(generation.cancelled for generation in server.service.generations)


async def test_no_prompt() -> None:
    response = await answering(said("x")).post(PATH, model="fake")
    assert response.status_code == 422 and response.json()["detail"][0]["loc"] == ["body", "prompt"]


async def test_a_gap_is_filled_with_a_suffix() -> None:
    server = answering(said("x"), supports_fim=True)
    assert (await server.post(PATH, prompt="a", suffix="b")).status_code == 200
    assert server.service.requests[0].prompt == tuple(b"<a|b>")
    await server.post(PATH, prompt="a", suffix="")
    assert server.service.requests[1].prompt == (BOS, 97)


async def test_one_prompt_that_fails_ends_the_stream_of_all() -> None:
    server = answering([(97,), STOP], [(98,), Failed(2, "out of memory")], [(99,), None])
    chunks = await server.chunks(PATH, prompt=["a", "b", "c"])
    ends = {c["index"]: c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]}
    assert ends[1] == ends[2] == "error" and set(ends) == {0, 1, 2}
    assert "out of memory" in chunks[-1]["error"]["message"]
    assert chunks[-1]["usage"]["completion_tokens"] >= 2  # what had been generated by then is not forgotten
    assert server.service.generations[2].cancelled


async def test_a_reader_that_leaves_cancels_all() -> None:
    service = FakeService([(97,), None])
    requests = tuple(TextRequest(text, options=ChatOptions(n=2)) for text in ("a", "b"))
    meter = Meter()
    events = complete(model(service), requests, meter)
    assert await anext(events) == Started(4, 4096)
    seen = [await asyncio.wait_for(anext(events), 60) for _ in range(4)]
    assert {event.choice for event in seen if isinstance(event, TextDelta)} == {0, 1, 2, 3}
    await asyncio.wait_for(events.aclose(), 60)
    assert [generation.cancelled for generation in service.generations] == [True] * 4
    assert (meter.prompt_tokens, meter.completion_tokens) == (4, 4)


async def test_the_last_event_is_the_sum() -> None:
    requests = tuple(TextRequest(text) for text in ("a", "bcd"))
    events = [event async for event in complete(model(FakeService(said("xy"))), requests, Meter())]
    done = events[-1]
    assert isinstance(done, Completed)
    assert (done.prompt_tokens, done.completion_tokens, len(done.stats), done.context_used) == (6, 4, 2, 6)
