"""Tokens counted by the remote, by mistral-common, or by nobody; and vectors"""

import base64
import math
from typing import Any

import numpy as np
import pytest

from ggufrun.chat.types import ChatOptions, ChatRequest, ImageChunk, Message, TextRequest
from ggufrun.errors import OverContext
from ggufrun.remote.hosted_tokens import HostedTokens
from ggufrun.remote_errors import RemoteDown, RemoteLacks
from tests.remote.asking_models import HELLO, opened
from tests.remote.raw_server import Raw, as_json, raw_server, said

FITTING = ChatRequest(HELLO.messages, ChatOptions(max_tokens=98), fits=True)


def is_vllm(raw: Raw) -> None:
    raw.models = as_json({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 100}]})


def is_llama_server(raw: Raw) -> None:
    raw.models = as_json({"data": [{"id": "m", "owned_by": "llamacpp"}]})


def is_ggufrun(raw: Raw) -> None:
    raw.models = as_json({"data": [{"id": "m", "owned_by": "ggufrun"}]})


async def test_vllm_s() -> None:
    async with raw_server() as raw:
        is_vllm(raw)
        async with opened(raw) as model:
            raw.replies = [as_json({"tokens": [1, 2, 3], "count": 3})]
            assert await model.tokens(HELLO) == (1, 2, 3) and await model.count_tokens(HELLO) == 3
            path, _, body = raw.asked[-1]
            assert path == "/tokenize"
            assert body == {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
            await model.tokens(TextRequest("a", bos=False))
            assert raw.asked[-1][2] == {"model": "m", "prompt": "a", "add_special_tokens": False}
            assert await model.tokens(TextRequest((7, 8))) == (7, 8)
            picture = ChatRequest((Message(role="user", content=(ImageChunk(data=b"x"),)),))
            with pytest.raises(RemoteLacks, match="tokens of images"):
                await model.tokens(picture)


async def test_llama_server_s() -> None:
    async with raw_server() as raw:
        is_llama_server(raw)
        async with opened(raw) as model:
            raw.replies = [as_json({"prompt": "<user>Hello"}), as_json({"tokens": [4, 5]})]
            assert await model.tokens(HELLO) == (4, 5)
            (template, _, _), (tokenize, _, body) = raw.asked
            assert (template, tokenize) == ("/apply-template", "/tokenize")
            assert body == {"content": "<user>Hello", "add_special": True, "parse_special": True}


async def test_another_ggufrun_s() -> None:
    async with raw_server() as raw:
        is_ggufrun(raw)
        async with opened(raw) as model:
            raw.replies = [as_json({"tokens": [4, 5], "count": 2, "model": "m"})]
            assert await model.tokens(HELLO) == (4, 5)
            assert raw.asked[-1][0] == "/v1/tokenize" and "stream" not in raw.asked[-1][2]
            raw.replies = [as_json({"tokens": "many"})]
            with pytest.raises(Exception, match="calls tokens are none"):
                await model.tokens(HELLO)


async def test_nobody_s() -> None:
    async with raw_server() as raw, opened(raw) as model:
        with pytest.raises(RemoteLacks, match="what a prompt's tokens are"):
            await model.count_tokens(HELLO)
        raw.replies = [said("Hi")]
        assert [event async for event in model.complete(FITTING)]  # nobody can say that it does not fit


async def test_what_must_fit_is_counted_first() -> None:
    async with raw_server() as raw:
        is_vllm(raw)
        async with opened(raw) as model:
            raw.replies = [as_json({"tokens": [1, 2, 3]})]
            with pytest.raises(OverContext, match="at most 97"):
                await anext(model.complete(FITTING))


@pytest.mark.parametrize(("version", "count"), [("v3", 4), ("v7", 4), ("v13", 4)])
def test_the_hosted_api_s_by_mistral_common(version: str, count: int) -> None:
    tokens = HostedTokens(version).tokens(HELLO)
    assert tokens[:2] == (1, 3) and tokens[-1] == 4 and len(tokens) == count
    assert len(HostedTokens(version).tokens(TextRequest("Hello", bos=False))) == 1


def test_later_versions_are_told_how_much_to_think() -> None:
    assert len(HostedTokens("v15", ("none", "high")).tokens(HELLO)) > 4


@pytest.mark.parametrize("as_text", [False, True])
async def test_vectors(as_text: bool) -> None:
    numbers: Any = [3.0, 4.0]
    if as_text:
        numbers = base64.b64encode(np.asarray(numbers, "<f4").tobytes()).decode()
    data = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": numbers}]
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [as_json({"data": data, "usage": {"prompt_tokens": 7}})]
        made = await model.embed(["a", "bcd"])
        first, second = (np.frombuffer(each, "<f4") for each in made.vectors)
        assert np.allclose(first, [0.6, 0.8]) and np.allclose(second, [0, 1]) and sum(made.tokens) == 7
        assert math.isclose(float(np.linalg.norm(first)), 1, rel_tol=1e-6)
        raw.replies = [as_json({"data": data[:1]})]
        with pytest.raises(Exception, match="embeddings are none"):
            await model.embed(["a", "b"])
        raw.replies = [as_json({}, 500)]
        with pytest.raises(RemoteDown):
            await model.embed(["a"])
