"""Embeddings of tiny models: against BERT computed with numpy, in company and alone, and in a worker process."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import pytest

from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.service import Service
from ggufrun.engine.stream import Stream
from ggufrun.engine.types import (
    Embedded,
    EmbeddingRequest,
    EngineEvent,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
)
from ggufrun.errors import EngineBusy, EngineCrashed, ModelFileError
from ggufrun.llama import embedder as embedder_module
from ggufrun.llama.embedder import LlamaEmbedder
from ggufrun.llama.model import Model
from ggufrun.llama.open import FACTORY, open_backend
from ggufrun.llama.pooling import makes_embeddings
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings

Array = npt.NDArray[Any]
Tiny = Callable[[str], Path]
TEXTS = ("The quick brown fox jumps!", "", "numbers go on " * 20, "weather", "[MASK] é")


@contextlib.contextmanager
def embedder(path: Path, rows: int = 512, **settings: Any) -> Iterator[LlamaEmbedder]:
    given = ModelSettings(path, threads=1, **settings)
    model = Model.load(given)
    try:
        backend = LlamaEmbedder(model, given, rows)
    except ModelFileError:
        model.close()
        raise
    try:
        yield backend
    finally:
        backend.close()
        backend.close()


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def framed(path: Path, *texts: str) -> list[list[int]]:
    vocabulary = LlamaVocabulary.from_path(path)
    try:
        return [vocabulary.frame(text) for text in texts]
    finally:
        vocabulary.close()


def bert(path: Path, tokens: list[int], heads: int = 4) -> Array:
    """The last layer's rows, float32 [tokens, dimensions], after Devlin et al."""
    weights = {each.name: np.asarray(each.data, np.float32) for each in gguf.GGUFReader(path).tensors}

    def norm(x: Array, name: str) -> Array:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return np.asarray(x * weights[f"{name}.weight"] + weights[f"{name}.bias"])

    def linear(x: Array, name: str) -> Array:
        return np.asarray(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])

    def split(x: Array) -> Array:
        return x.reshape(len(tokens), heads, -1).transpose(1, 0, 2)

    x = weights["token_embd.weight"][tokens] + weights["position_embd.weight"][: len(tokens)]
    x = norm(x + weights["token_types.weight"][0], "token_embd_norm")
    for layer in ("blk.0", "blk.1"):
        query, key, value = (split(linear(x, f"{layer}.attn_{part}")) for part in "qkv")
        scores = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1]))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        x = norm(
            x + linear(mixed.transpose(1, 0, 2).reshape(x.shape), f"{layer}.attn_output"), f"{layer}.attn_output_norm"
        )
        up = linear(x, f"{layer}.ffn_up")
        up = up * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        x = norm(x + linear(up, f"{layer}.ffn_down"), f"{layer}.layer_output_norm")
    return x


def test_wordpiece_and_its_frame(tiny_model: Tiny) -> None:
    path = tiny_model("bert-tiny")
    vocabulary = LlamaVocabulary.from_path(path)
    texts = [vocabulary.text(token) for token in vocabulary.frame("Jumping the FOX [SEP]")]
    assert texts == ["[CLS]", "▁j", "u", "m", "p", "ing", "▁the", "▁fox", "▁[", "▁s", "e", "p", "▁]", "[SEP]"]
    assert [vocabulary.text(token) for token in vocabulary.frame("")] == ["[CLS]", "[SEP]"]
    assert vocabulary.tokenize("the fox", special=False) == vocabulary.frame("the fox")[1:-1]
    vocabulary.close()
    last = LlamaVocabulary.from_path(tiny_model("llama-last-tiny"))
    assert last.frame("the")[-1] == last.eos and last.frame("") == [last.eos]
    last.close()


@pytest.mark.parametrize("kind", ["bert-tiny", "bert-cls-tiny"])
def test_vectors_are_what_bert_computes(tiny_model: Tiny, kind: str) -> None:
    path = tiny_model(kind)
    inputs = framed(path, *TEXTS)
    with embedder(path) as backend:
        vectors = unit(backend.embed(inputs))
    for tokens, vector in zip(inputs, vectors, strict=True):
        rows = bert(path, tokens)
        expected = unit(rows[0] if kind == "bert-cls-tiny" else rows.mean(0))
        assert np.abs(vector - expected).max() < 2e-3 and vector @ expected > 0.99999


@pytest.mark.parametrize("kind", ["bert-tiny", "bert-cls-tiny", "llama-last-tiny"])
@pytest.mark.parametrize("flash", ["off", "on"])
def test_company_makes_no_difference(tiny_model: Tiny, kind: str, flash: str) -> None:
    path = tiny_model(kind)
    inputs = framed(path, *TEXTS)
    with embedder(path, flash_attention=flash) as backend:
        together = unit(backend.embed(inputs))
        alone = unit(np.concatenate([backend.embed([tokens]) for tokens in inputs]))
        backend.reset()
        again = unit(backend.embed(inputs))
    assert np.abs(together - alone).max() < (1e-4 if flash == "off" else 5e-4)
    assert np.abs(together - again).max() < 1e-6
    assert len({row.tobytes() for row in together}) == len(TEXTS)


def test_a_long_input_of_a_causal_model_is_read_in_parts(tiny_model: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_model("llama-last-tiny")
    (long,) = framed(path, "the quick brown fox " * 150)
    assert len(long) > 700
    with embedder(path) as backend:
        assert backend.limits.context == 8192
    exact: dict[str, Any] = {"context": 2048, "flash_attention": "off"}
    with embedder(path, **exact) as backend:
        assert backend.plan.ubatch == 512
        parts = unit(backend.embed([long]))[0]
    monkeypatch.setattr(embedder_module, "_UBATCH", 2048)
    with embedder(path, **exact) as backend:
        assert backend.plan.ubatch == 2048
        assert np.abs(unit(backend.embed([long]))[0] - parts).max() < 1e-4


def test_sizes(tiny_model: Tiny) -> None:
    with embedder(tiny_model("bert-tiny"), rows=64, context=4096) as backend:
        assert (backend.limits.context, backend.limits.batch, backend.limits.dimensions) == (128, 64, 64)
        assert backend.plan.ubatch == 128 and backend.cache_bytes == 0
    with embedder(tiny_model("bert-tiny"), context=32) as backend:
        assert backend.limits.context == backend.limits.batch == 32
    with embedder(tiny_model("llama-last-tiny"), context=32) as backend:
        assert backend.cache_bytes > 0
    with embedder(tiny_model("llama-mean-tiny"), context=1024) as backend:
        assert backend.plan.ubatch == 1024  # llama.cpp would give the mean of the last part


def test_which_models_make_embeddings(tiny_model: Tiny) -> None:
    assert makes_embeddings({"general.architecture": "bert"})
    assert makes_embeddings({"general.architecture": "qwen3", "qwen3.pooling_type": 3})
    assert makes_embeddings({"general.architecture": "qwen3", "qwen3.pooling_type": "3"})
    assert not makes_embeddings({"general.architecture": "qwen3", "qwen3.pooling_type": 0})
    assert not makes_embeddings({"general.architecture": "llama", "bert.pooling_type": 1})
    with pytest.raises(ModelFileError, match="reranker"), embedder(tiny_model("bert-rank-tiny")):
        pass


async def started(path: Path, **engine: Any) -> Service:
    settings = WorkerSettings(FACTORY, ModelSettings(path, threads=1), EngineSettings(**engine))
    return await Service.start(settings)


async def end(stream: Stream) -> EngineEvent:
    async with asyncio.timeout(20):
        (event,) = [event async for event in stream]
    return event


async def test_the_worker(tiny_model: Tiny) -> None:
    path = tiny_model("bert-tiny")
    inputs = tuple(map(tuple, framed(path, *TEXTS)))
    service = await started(path, parallel=1, queue=2)
    try:
        assert (service.info.context, service.info.dimensions) == (128, 64)
        first = await end(service.submit(EmbeddingRequest(service.next_id(), inputs * 40)))
        assert isinstance(first, Embedded) and len(first.vectors) == 200
        assert abs(np.linalg.norm(np.frombuffer(first.vectors[7], "<f4")) - 1) < 1e-6
        wrong = await end(service.submit(GenerationRequest(service.next_id(), (1,))))
        assert isinstance(wrong, Failed) and "writes no text" in wrong.message
        long = await end(service.submit(EmbeddingRequest(service.next_id(), ((1,) * 129,))))
        assert isinstance(long, Failed) and "129" in long.message
        await leave_while_it_embeds(service, inputs)
        await crash_while_it_embeds(service, inputs)
    finally:
        await service.aclose()


async def leave_while_it_embeds(service: Service, inputs: tuple[tuple[int, ...], ...]) -> None:
    assert service.worker_pid is not None
    os.kill(service.worker_pid, signal.SIGSTOP)
    stream = service.submit(EmbeddingRequest(service.next_id(), inputs * 200))
    stream.cancel()
    os.kill(service.worker_pid, signal.SIGCONT)
    event = await end(stream)
    assert isinstance(event, Finished) and event.reason is FinishReason.CANCELLED and service.live == 0


async def crash_while_it_embeds(service: Service, inputs: tuple[tuple[int, ...], ...]) -> None:
    assert service.worker_pid is not None
    os.kill(service.worker_pid, signal.SIGSTOP)
    waiting = [service.submit(EmbeddingRequest(service.next_id(), inputs)) for _ in range(3)]
    with pytest.raises(EngineBusy):
        service.submit(EmbeddingRequest(service.next_id(), inputs))
    os.kill(service.worker_pid, signal.SIGKILL)
    for stream in waiting:
        event = await end(stream)
        assert isinstance(event, Failed) and isinstance(event.error, EngineCrashed) and event.error.restarting
    assert isinstance(await end(service.submit(EmbeddingRequest(service.next_id(), inputs))), Embedded)


def test_a_chat_model_says_that_it_makes_none(tiny_model: Tiny) -> None:
    async def main() -> EngineEvent:
        service = await started(tiny_model("llama-tiny"))
        try:
            return await end(service.submit(EmbeddingRequest(service.next_id(), ((1,),))))
        finally:
            await service.aclose()

    event = asyncio.run(main())
    assert isinstance(event, Failed) and "makes no embeddings" in event.message


def test_the_factory_refuses_a_reranker(tiny_model: Tiny) -> None:
    with pytest.raises(ModelFileError, match="reranker"):
        open_backend(ModelSettings(tiny_model("bert-rank-tiny")), EngineSettings(), lambda done: None)
