"""Scores against float64 made from the same models' logits, and against each other: shapes of batches, threads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ggufrun.compare.results import Scores
from ggufrun.compare.scoring.base_file import BaseReader, BaseWriter
from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.decoding import step
from ggufrun.compare.scoring.files import Text
from ggufrun.compare.scoring.score import Against, Keeper, score
from ggufrun.engine.backend import Run
from ggufrun.errors import InputError
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import ModelSettings
from tests.compare.scoring.conftest import nothing, tokens
from tests.compare.scoring.test_base import log_softmax

MakeText = Callable[[Sequence[Sequence[int]], Sequence[int]], Text]


def first_scores(contexts: Contexts, text: Text, base: Path, *, batch: int = 512, threads: int = 1) -> Scores:
    backend = contexts.empty(text.longest, batch=batch)
    with BaseWriter(base, text.digest(), backend.limits.vocabulary) as writer:
        keeper = Keeper(writer)
        scores = score(backend, text, keeper, batch=batch, threads=threads, tick=nothing)
        keeper.finish()
    return scores


def other_scores(contexts: Contexts, text: Text, base: Path, *, batch: int = 512, threads: int = 1) -> Scores:
    backend = contexts.empty(text.longest, batch=batch)
    with BaseReader(base) as reader:
        judge = Against(reader, text, backend.limits.vocabulary)
        return score(backend, text, judge, batch=batch, threads=threads, tick=nothing)


def all_log_p(contexts: Contexts, chunk: Sequence[int]) -> npt.NDArray[np.float64]:
    backend = contexts.empty(len(chunk), batch=max(512, len(chunk)))
    step(backend, [Run(0, 0, chunk, len(chunk))])
    return np.array([log_softmax(backend.logits(row)) for row in range(len(chunk))])


def lumped_divergence(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    """From all log-probabilities, in the words of the module that it tests."""
    order = np.argsort(-p)
    needed = 1 + int(np.searchsorted(np.cumsum(np.exp(p[order])), 1 - 1e-4))
    chosen, others = np.split(order, [min(max(needed, 64), 16384)])
    rest_p, rest_q = np.exp(p[others]).sum(), np.exp(q[others]).sum()
    return float((np.exp(p[chosen]) * (p[chosen] - q[chosen])).sum() + rest_p * np.log(rest_p / rest_q))


def same_bits(left: Scores, right: Scores) -> bool:
    return all(getattr(left, each.name).tobytes() == getattr(right, each.name).tobytes() for each in fields(Scores))


@pytest.fixture(scope="module")
def coarse(demo_path: Path) -> Iterator[Contexts]:
    """The demo model with a KV cache of four bits: another row of a comparison."""
    contexts = Contexts.load(ModelSettings(demo_path, context=256, threads=1, kv_type="q4_0"))
    yield contexts
    contexts.close()


def test_the_demo_models_scores_are_those_of_float64(
    demo: Contexts, coarse: Contexts, text_of: MakeText, tmp_path: Path
) -> None:
    chunks, firsts = [tokens(48, vocabulary=40_000, seed=1), tokens(40, vocabulary=40_000, seed=2)], [24, 0]
    text = text_of(chunks, firsts)
    own = first_scores(demo, text, tmp_path / "base.npz", threads=2)
    found = other_scores(coarse, text, tmp_path / "base.npz", threads=2)
    at = 0
    for number, (chunk, first) in enumerate(zip(chunks, firsts, strict=True)):
        p, q = all_log_p(demo, chunk), all_log_p(coarse, chunk)
        for i in range(first, len(chunk) - 1):
            came = chunk[i + 1]
            assert own.nll[at] == pytest.approx(-p[i, came], abs=1e-6)
            assert found.nll[at] == pytest.approx(-q[i, came], abs=1e-6)
            assert found.dp[at] == pytest.approx(np.exp(q[i, came]) - np.exp(p[i, came]), abs=1e-7)
            assert found.same_top[at] == (p[i].argmax() == q[i].argmax())
            assert found.kld[at] == pytest.approx(lumped_divergence(p[i], q[i]), abs=1e-6)
            assert found.kld[at] <= float((np.exp(p[i]) * (p[i] - q[i])).sum()) + 1e-6
            assert (found.chunk[at], found.depth[at], found.part[at]) == (number, i + 1, number)
            at += 1
    assert at == len(found.nll) == text.positions == 23 + 39
    assert found.kld.mean() > 1e-3  # they do differ
    assert not own.kld.any() and not own.dp.any() and own.same_top.all()


def test_the_reference_is_exactly_0_from_itself(demo: Contexts, text_of: MakeText, tmp_path: Path) -> None:
    text = text_of([tokens(40, vocabulary=40_000, seed=3)], [8])
    own = first_scores(demo, text, tmp_path / "base.npz")
    assert same_bits(other_scores(demo, text, tmp_path / "base.npz"), own)
    assert np.exp(own.nll.mean()) > 100  # random tokens: nothing was skipped


def test_another_order_of_computing_is_seen_and_small(demo: Contexts, text_of: MakeText, tmp_path: Path) -> None:
    """What is below it cannot be told apart. Here, on the processor, batches of another shape give the same bits."""
    text = text_of([tokens(40, vocabulary=40_000, seed=3)], [8])
    first_scores(demo, text, tmp_path / "base.npz")
    with BaseReader(tmp_path / "base.npz") as base:
        backend = demo.empty(text.longest, other_attention=True)
        judge = Against(base, text, backend.limits.vocabulary)
        found = score(backend, text, judge, batch=512, threads=1, tick=nothing)
    assert 0 < found.kld.mean() < 0.05
    assert same_bits(other_scores(demo, text, tmp_path / "base.npz"), first_scores(demo, text, tmp_path / "base.npz"))


def test_batches_threads_and_chunks_change_nothing_else(tiny: Contexts, text_of: MakeText, tmp_path: Path) -> None:
    long = tokens(300, seed=4)
    text = text_of([long, long[:64], long[:1], long[:65]], [256, 32, 0, 64])
    whole = first_scores(tiny, text, tmp_path / "base.npz")
    assert len(whole.nll) == 43 + 31 + 0 + 0
    assert same_bits(first_scores(tiny, text, tmp_path / "again.npz", threads=3), whole)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "base.npz").read_bytes()
    for batch in (64, 7):  # 300 tokens in 5 batches and in 43, chunks that end with one
        parts = other_scores(tiny, text, tmp_path / "base.npz", batch=batch, threads=2)
        assert np.allclose(parts.nll, whole.nll, atol=1e-3)
        assert (parts.kld < 1e-5).all()
        assert np.array_equal(parts.depth, whole.depth)


def test_a_chunk_does_not_depend_on_those_before(tiny: Contexts, text_of: MakeText, tmp_path: Path) -> None:
    one, two = tokens(64, seed=5), tokens(80, seed=6)
    both = first_scores(tiny, text_of([one, two], [32, 32]), tmp_path / "base.npz")
    alone = first_scores(tiny, text_of([two], [32]), tmp_path / "base.npz")
    assert np.array_equal(both.nll[31:], alone.nll)


def test_progress_counts_positions(tiny: Contexts, text_of: MakeText, tmp_path: Path) -> None:
    text = text_of([tokens(100, seed=7)], [10])
    said: list[tuple[int, int]] = []
    first_scores(tiny, text, tmp_path / "base.npz")
    with BaseReader(tmp_path / "base.npz") as base:
        backend = tiny.empty(100, batch=32)
        judge = Against(base, text, 512)
        score(backend, text, judge, batch=32, threads=1, tick=lambda done, of: said.append((done, of)))
    assert said == [(22, 89), (54, 89), (86, 89), (89, 89)]


class Unsure(LlamaBackend):
    """Its logits of one token are not finite, as those of a broken quant are."""

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        logits = super().logits(row)
        if row == 3:
            logits[77] = np.nan
        return logits


def test_positions_that_are_not_finite_are_nan_and_no_others(
    tiny: Contexts, tiny_model: Callable[[str], Path], text_of: MakeText, tmp_path: Path
) -> None:
    text = text_of([tokens(40, seed=8), tokens(40, seed=9)], [20, 20])
    settings = ModelSettings(tiny_model("llama-tiny"), context=256, threads=1)
    broken = Contexts(Unsure.load(settings))
    try:
        first_scores(tiny, text, tmp_path / "base.npz")
        first_scores(broken, text, tmp_path / "broken.npz")
        rows = [
            other_scores(broken, text, tmp_path / "base.npz"),
            other_scores(tiny, text, tmp_path / "broken.npz"),
        ]
    finally:
        broken.close()
    expected = np.isin(np.arange(38), (3, 22))
    for row in rows:
        for numbers in (row.nll, row.kld, row.dp):
            assert np.array_equal(np.isnan(numbers), expected)
        assert np.array_equal(row.same_top, ~expected)


def test_a_base_of_another_text_or_vocabulary_is_refused(tiny: Contexts, text_of: MakeText, tmp_path: Path) -> None:
    text = text_of([tokens(40, seed=10)], [20])
    first_scores(tiny, text, tmp_path / "base.npz")
    with BaseReader(tmp_path / "base.npz") as base:
        with pytest.raises(InputError, match="another text"):
            Against(base, text_of([tokens(40, seed=11)], [20]), 512)
        with pytest.raises(InputError, match=r"512 tokens and this model's has 513\. Only quants of one model"):
            Against(base, text, 513)


def test_a_sliding_window_is_scored_in_batches(gemma_path: Path, text_of: MakeText, tmp_path: Path) -> None:
    contexts = Contexts.load(ModelSettings(gemma_path, context=128, threads=1))
    try:
        text = text_of([tokens(48, vocabulary=200_000, seed=12)], [24])
        first_scores(contexts, text, tmp_path / "base.npz")
        parts = other_scores(contexts, text, tmp_path / "base.npz", batch=40)
        assert parts.kld.max() < 1e-3
    finally:
        contexts.close()
