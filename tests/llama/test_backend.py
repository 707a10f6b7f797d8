"""The backend on the demo model, against llama.cpp driven directly and against itself."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from llama_cpp import llama_cpp as ll

from ggufrun.engine.backend import DecodeStatus, MemoryKind, Run
from ggufrun.engine.types import SamplingParams
from ggufrun.errors import EngineClosed
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.load_params import LoadParams
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.weights.header import read_header
from tests.llama.conftest import CONTEXT
from tests.llama.steps import feed, generate, question

pytestmark = pytest.mark.model


def reference_tokens(path: Path, prompt: list[int], count: int) -> list[int]:
    """Greedy tokens by llama.cpp's own convenience calls: one sequence, batches by llama_batch_get_one."""
    loading = LoadParams.for_weights(ModelSettings(path), None, read_header(path))
    model = ll.llama_model_load_from_file(str(path).encode(), loading.native)
    params = ll.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = CONTEXT, 1, 1
    context = ll.llama_init_from_model(model, params)
    assert context is not None and model is not None
    sampler, tokens = ll.llama_sampler_init_greedy(), list(prompt)
    fed = 0
    while len(tokens) < len(prompt) + count:
        new = (ctypes.c_int32 * (len(tokens) - fed))(*tokens[fed:])
        assert ll.llama_decode(context, ll.llama_batch_get_one(new, len(new))) == 0
        fed = len(tokens)
        tokens.append(ll.llama_sampler_sample(sampler, context, -1))
    ll.llama_sampler_free(sampler)
    ll.llama_free(context)
    ll.llama_model_free(model)
    return tokens[len(prompt) :]


def test_greedy_tokens_are_llama_cpps_own(backend: LlamaBackend, vocabulary: LlamaVocabulary, demo_path: Path) -> None:
    prompt = question(vocabulary)
    tokens = generate(backend, 0, prompt, 24)
    assert tokens == reference_tokens(demo_path, prompt, len(tokens))
    assert len(tokens) > 3


def test_limits_and_description(backend: LlamaBackend) -> None:
    assert (backend.limits.context, backend.limits.sequences, backend.limits.vocabulary) == (CONTEXT, 8, 49152)
    assert backend.memory is MemoryKind.FULL
    described = backend.model.describe()
    assert (described.layers, described.context_train, described.vocabulary) == (30, 8192, 49152)
    assert "Q4_1" in described.description
    assert described.parameters == 134_515_008
    assert 90e6 < described.size < 100e6


def test_rows_of_a_mixed_batch_are_numbered_in_the_order_of_the_runs(
    backend: LlamaBackend, vocabulary: LlamaVocabulary
) -> None:
    prompts = [vocabulary.tokenize(text, special=False) for text in ("The sky is", "One, two, three,", "Paris is the")]
    alone = [feed(backend, 0, prompt) for prompt in prompts if backend.truncate(0, 0)]
    runs = [Run(seq, 0, prompt, 2) for seq, prompt in enumerate(prompts, 1)]
    assert backend.decode(runs) is DecodeStatus.OK
    for i, expected in enumerate(alone):
        last = backend.logits(2 * i + 1)
        assert np.abs(last - expected).max() < 1.0
        assert last.argmax() == expected.argmax()
    with pytest.raises(IndexError):
        backend.logits(6)
    # greedy reads the row through numpy, the chain through llama.cpp: both must mean the same row
    biased = backend.new_sampler(SamplingParams(logit_bias=((0, -100.0),)))
    plain = backend.new_sampler(SamplingParams())
    assert [backend.sample(row, biased) for row in range(6)] == [backend.sample(row, plain) for row in range(6)]


def test_a_run_without_outputs_and_an_empty_batch(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    prompt = question(vocabulary)
    assert backend.decode([]) is DecodeStatus.OK
    assert backend.decode([Run(0, 0, prompt[:-1], 0)]) is DecodeStatus.OK
    with pytest.raises(IndexError):
        backend.logits(0)
    split = feed(backend, 0, prompt[-1:], len(prompt) - 1)
    assert np.abs(split - feed(backend, 1, prompt)).max() < 1.0


def test_a_copy_goes_on_like_its_source(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    prompt = question(vocabulary)
    expected = feed(backend, 0, prompt)
    backend.copy(0, 1, len(prompt) - 1)
    assert backend.covers(1, len(prompt) - 1)
    assert not backend.covers(1, len(prompt))
    copied = feed(backend, 1, prompt[-1:], len(prompt) - 1)
    assert np.abs(copied - expected).max() < 1.0
    assert backend.covers(0, len(prompt))


def test_a_copy_takes_no_cells(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    prompt = (question(vocabulary) * 40)[:200]
    feed(backend, 0, prompt)
    for target in range(1, 6):
        backend.copy(0, target, 200)
    runs = [Run(seq, 200, [prompt[0]], 1) for seq in range(6)]
    assert backend.decode(runs) is DecodeStatus.OK


def test_truncate(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    prompt = question(vocabulary)
    expected = feed(backend, 0, prompt)
    feed(backend, 0, prompt[:5], len(prompt))
    assert backend.truncate(0, len(prompt) - 1)
    assert not backend.covers(0, len(prompt))
    assert np.abs(feed(backend, 0, prompt[-1:], len(prompt) - 1) - expected).max() < 1.0
    assert backend.truncate(0, 0)
    assert backend.covers(0, 0)
    assert not backend.covers(0, 1)
    assert backend.truncate(7, 0)


def test_a_saved_state_gives_the_same_next_logits(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    prompt = question(vocabulary)
    feed(backend, 0, prompt)
    state = backend.save(0)
    expected = feed(backend, 0, prompt[:1], len(prompt))
    backend.truncate(0, 0)
    assert backend.restore(3, state)
    assert backend.covers(3, len(prompt))
    restored = feed(backend, 3, prompt[:1], len(prompt))
    assert np.abs(restored - expected).max() < 1.0
    assert restored.argmax() == expected.argmax()


@pytest.mark.parametrize("damage", ["empty", "short", "noise", "one byte more"])
def test_a_state_of_the_wrong_size_is_refused(backend: LlamaBackend, vocabulary: LlamaVocabulary, damage: str) -> None:
    feed(backend, 0, question(vocabulary))
    state = backend.save(0)
    damaged = {"empty": b"", "short": state[:-1000], "noise": b"\x7f" * 5000, "one byte more": state + b"x"}[damage]
    assert not backend.restore(2, damaged)
    assert not backend.covers(2, 1)
    feed(backend, 2, question(vocabulary))


def test_no_room_changes_nothing(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    prompt = (question(vocabulary) * 40)[:150]
    feed(backend, 0, prompt)
    expected = feed(backend, 0, prompt[:1], 150)
    backend.truncate(0, 150)
    assert backend.decode([Run(1, 0, prompt[:120], 1)]) is DecodeStatus.NO_ROOM
    assert backend.covers(0, 150)
    assert not backend.covers(1, 1)
    assert np.abs(feed(backend, 0, prompt[:1], 150) - expected).max() < 1.0
    backend.truncate(0, 0)
    assert backend.decode([Run(1, 0, prompt[:120], 1)]) is DecodeStatus.OK


def test_a_refused_batch_is_fatal_and_reset_recovers(demo_path: Path, vocabulary: LlamaVocabulary) -> None:
    settings = ModelSettings(demo_path, context=256, threads=1)
    backend = LlamaBackend.load(settings, EngineSettings(parallel=1, cached_sequences=1))
    prompt = question(vocabulary)
    expected = generate(backend, 0, prompt, 4)
    assert backend.decode([Run(0, 250, [1], 1)]) is DecodeStatus.FATAL  # a gap in the positions
    backend.reset()
    assert not backend.covers(0, 1)
    assert generate(backend, 0, prompt, 4) == expected
    with pytest.raises(ValueError, match="batch"):
        backend.decode([Run(0, 0, [1] * 300, 1)])
    backend.close()
    backend.close()
    with pytest.raises(EngineClosed):
        backend.decode([Run(0, 0, prompt, 1)])


def test_the_logits_are_writable(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    feed(backend, 0, question(vocabulary))
    row = backend.logits(0)
    row[:] = -np.inf
    row[123] = 1.0
    for params in (SamplingParams(), SamplingParams(temperature=1.0), SamplingParams(temperature=0.7, top_p=0.9)):
        assert backend.sample(0, backend.new_sampler(params)) == 123


@pytest.mark.parametrize("kv_type", ["q8_0", "q4_0"])
def test_a_quantized_cache(demo_path: Path, vocabulary: LlamaVocabulary, kv_type: str) -> None:
    settings = ModelSettings(demo_path, context=256, threads=1, kv_type="q8_0" if kv_type == "q8_0" else "q4_0")
    backend = LlamaBackend.load(settings, EngineSettings(parallel=1, cached_sequences=1))
    feed(backend, 0, question(vocabulary))
    small = len(backend.save(0))
    backend.close()
    assert small < 0.6 * 30 * 2 * 192 * 2 * len(question(vocabulary))  # of what f16 takes
