"""Sampling on the demo model: seeds, penalties, biases, and the cuts that the chain makes."""

import numpy as np
import pytest

from ggufrun.engine.backend import Sampler
from ggufrun.engine.types import SamplingParams
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.sampler import LlamaSampler
from ggufrun.llama.vocabulary import LlamaVocabulary
from tests.llama.steps import feed, generate, question

pytestmark = pytest.mark.model


@pytest.fixture
def row(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> LlamaBackend:
    """The backend with one output row, after an open question."""
    feed(backend, 0, vocabulary.tokenize("My favourite animal is the", special=False))
    return backend


def draws(backend: LlamaBackend, params: SamplingParams, count: int = 40) -> list[int]:
    sampler = backend.new_sampler(params)
    return [backend.sample(0, sampler) for _ in range(count)]


def test_a_seed_repeats_and_another_does_not(row: LlamaBackend) -> None:
    first = draws(row, SamplingParams(temperature=1.0, seed=7))
    assert draws(row, SamplingParams(temperature=1.0, seed=7)) == first
    assert draws(row, SamplingParams(temperature=1.0, seed=8)) != first
    assert draws(row, SamplingParams(temperature=1.0)) != draws(row, SamplingParams(temperature=1.0))


@pytest.mark.parametrize("seed", [2**32 - 1, 2**40 + 3, -1])
def test_every_seed_is_reproducible(row: LlamaBackend, seed: int) -> None:
    params = SamplingParams(temperature=1.0, seed=seed)
    assert draws(row, params) == draws(row, params)


def test_text_repeats_with_its_seed(backend: LlamaBackend, vocabulary: LlamaVocabulary) -> None:
    params = SamplingParams(temperature=0.8, top_p=0.95, seed=11)
    first = generate(backend, 0, question(vocabulary), 12, params)
    backend.truncate(0, 0)
    assert generate(backend, 0, question(vocabulary), 12, params) == first


def test_the_draws_follow_the_distribution(row: LlamaBackend) -> None:
    logits = row.logits(0).astype(np.float64) / 0.7
    probability = np.exp(logits - logits.max())
    probability /= probability.sum()
    best = int(probability.argmax())
    tokens = draws(row, SamplingParams(temperature=0.7, seed=5), 3000)
    assert abs(tokens.count(best) / 3000 - probability[best]) < 0.04


def test_cuts(row: LlamaBackend) -> None:
    order = np.argsort(-row.logits(0))
    assert set(draws(row, SamplingParams(temperature=2.0, top_k=3, seed=1), 200)) == {int(t) for t in order[:3]}
    assert set(draws(row, SamplingParams(temperature=2.0, top_p=0.001, seed=1))) == {int(order[0])}
    assert set(draws(row, SamplingParams(temperature=2.0, min_p=1.0, seed=1))) == {int(order[0])}
    logits = row.logits(0).astype(np.float64)
    mass = np.cumsum(np.exp(logits[order] - logits[order[0]]))
    nucleus = {int(t) for t in order[: 1 + int(np.searchsorted(mass / mass[-1], 0.5))]}
    assert set(draws(row, SamplingParams(temperature=1.0, top_p=0.5, seed=1), 2000)) <= nucleus


def test_a_bias_decides(row: LlamaBackend) -> None:
    best = int(row.logits(0).argmax())
    assert draws(row, SamplingParams(logit_bias=((1234, 100.0),)), 2) == [1234, 1234]
    assert best not in draws(row, SamplingParams(temperature=1.0, seed=1, logit_bias=((best, -100.0),)), 200)
    assert draws(row, SamplingParams(logit_bias=((10**6, 100.0), (-1, 100.0))), 1) == [best]


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(presence_penalty=2.0),
        SamplingParams(frequency_penalty=2.0),
        SamplingParams(repetition_penalty=2.0),
    ],
)
def test_penalties_see_what_was_sampled_and_what_was_accepted(row: LlamaBackend, params: SamplingParams) -> None:
    order = [int(t) for t in np.argsort(-row.logits(0))[:40]]
    tokens = draws(row, params, 12)
    assert tokens[0] == order[0]
    assert len(set(tokens)) > 1
    told: Sampler = row.new_sampler(params)
    told.accept(order[0])
    assert row.sample(0, told) == tokens[1]


def test_plain_greedy_needs_no_chain_and_closing_twice_is_fine(row: LlamaBackend) -> None:
    plain = LlamaSampler(SamplingParams(seed=3, top_p=0.5), 49152)
    assert plain.chain is None
    plain.accept(5)
    chained = LlamaSampler(SamplingParams(temperature=0.5), 49152)
    for sampler in (plain, chained):
        sampler.close()
        sampler.close()
