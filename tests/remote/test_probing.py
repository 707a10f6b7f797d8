"""What is known of a remote at the start, and what is wrong with it: one line each"""

import socket
from typing import Any

import pytest

from ggufrun.errors import GgufrunError
from ggufrun.remote.probing import Probed, probed
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote_errors import RemoteUnusable
from ggufrun.weights.cards import Card
from tests.remote.raw_server import Raw, Reply, as_json, raw_server

CARD = Card.model_validate(
    {
        "name": "mistral-medium-3.5",
        "repo": "x/y",
        "files": "*.gguf",
        "licence": "x",
        "parameters": 1,
        "context": 10,
        "tokenizer": "v15",
        "price": {"prompt": 1.5, "completion": 7.5},
    }
)


async def ask(raw: Raw, *models: dict[str, Any], **settings: Any) -> Probed:
    if models:
        raw.models = as_json({"object": "list", "data": list(models)})
    return await probed(RemoteSettings("fast", raw.url, **settings), [CARD])


async def test_vllm() -> None:
    async with raw_server() as raw:
        found = await ask(raw, {"id": "big", "owned_by": "vllm", "max_model_len": 4096})
    assert (found.engine.kind, found.settings.model, found.info.context) == ("vllm", "big", 4096)
    assert found.info.name == "fast" and found.info.elsewhere and found.info.memory_bytes == 0
    assert found.info.price is None and found.info.charges is None


async def test_llama_server() -> None:
    async with raw_server() as raw:
        found = await ask(raw, {"id": "x.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 512}})
    assert (found.engine.kind, found.info.context) == ("llama-server", 512)


async def test_another_ggufrun() -> None:
    able = {"completion_chat": True, "function_calling": True, "vision": False, "completion_fim": True}
    card = {
        "id": "demo",
        "owned_by": "ggufrun",
        "max_context_length": 64,
        "aliases": ["small"],
        "default_sampling": {"temperature": 0.2, "top_p": 0.9, "stop": []},
        "capabilities": able,
    }
    async with raw_server() as raw:
        found = await ask(raw, card, model="small", context=32)
    assert (found.engine.kind, found.settings.model, found.info.context) == ("ggufrun", "demo", 32)
    assert found.info.capabilities.fim and not found.info.capabilities.vision
    assert (found.info.defaults.temperature, found.info.defaults.top_p) == (0.2, 0.9)


async def test_the_hosted_api_s_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    card = {"id": "mistral-medium-3.5", "max_context_length": 99, "capabilities": {"reasoning": True}}
    async with raw_server() as raw:
        found = await ask(raw, card, {"id": "other"}, kind="mistral", model="mistral-medium-3.5")
    assert found.engine.kind == "mistral" and found.info.capabilities.reasoning and found.card is CARD
    assert found.info.charges is not None and found.info.charges.usd(10**6, 10**6) == 9.0


async def test_an_engine_that_says_little() -> None:
    async with raw_server() as raw:
        found = await ask(raw, {"id": "m"})
    assert (found.engine.kind, found.info.context) == ("openai", 0)


async def test_an_embedding_model_s_vectors_are_measured() -> None:
    card = {"id": "e", "owned_by": "ggufrun", "capabilities": {"completion_chat": False, "embeddings": True}}
    async with raw_server() as raw:
        raw.replies = [as_json({"data": [{"index": 0, "embedding": [3, 0, 4]}], "usage": {"prompt_tokens": 1}})]
        found = await ask(raw, card)
        assert (found.info.dimensions, found.info.capabilities.chat) == (3, False)
        raw.replies = [as_json({"data": [{"index": 0, "embedding": "nonsense"}]})]
        with pytest.raises(RemoteUnusable, match="makes no embedding"):
            await ask(raw, card)


MODELS = as_json({"data": [{"id": "mistral-small"}, {"id": "qwen"}]})


@pytest.mark.parametrize(
    ("models", "settings", "words"),
    [
        (Reply([b"<!doctype html><title>Hi</title>"], 200, "text/html"), {}, "no list of models"),
        (as_json({"hello": 1}), {}, "no list of models"),
        (as_json({"detail": "Not Found"}, 404), {}, r"no list of models \(404\)\. Is the url right\?"),
        (as_json({}, 301, location="https://example.org/v1/models"), {}, "elsewhere, to example.org"),
        (as_json({}, 401), {}, r"it wants a key \(401\)"),
        (as_json({}, 401), {"key_env": "A_KEY"}, r"does not accept the key in A_KEY \(401\)"),
        (as_json({"error": {"message": "Loading model"}}, 503), {}, "answers 503: Loading model"),
        (Reply(mute=True), {}, "does not speak HTTP as it should"),
        (MODELS, {"model": "mistral-smal"}, "no model 'mistral-smal'. Did you mean 'mistral-small'?"),
        (MODELS, {"model": "zzz"}, "It has mistral-small, qwen."),
        (MODELS, {}, "it has 2 models, and none is named"),
        (as_json({"data": []}), {}, "it has 0 models"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    models: Reply, settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-secret")
    async with raw_server() as raw:
        raw.models = models
        with pytest.raises(RemoteUnusable, match=words.replace("?", r"\?") if "\\" not in words else words) as caught:
            await ask(raw, **settings)
    assert str(caught.value).startswith("remote fast: ") and "\n" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RemoteUnusable, match="nobody answers there"):
        await probed(RemoteSettings("fast", f"http://127.0.0.1:{port}"))


async def test_a_remote_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server() as raw:
        raw.models = Reply([None])
        with pytest.raises(GgufrunError, match="no answer came in time"):
            await ask(raw, timeout_s=0.3)
