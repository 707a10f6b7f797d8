"""Sliding-window attention, on Gemma 3 270M: what is no longer held must not be reused."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ggufrun.engine.backend import DecodeStatus, MemoryKind, Run
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings
from tests.llama.steps import feed

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def gemma(gemma_path: Path) -> Iterator[LlamaBackend]:
    settings = ModelSettings(gemma_path, context=4096, threads=1)
    backend = LlamaBackend.load(settings, EngineSettings(parallel=2, cached_sequences=0, batch=128))
    yield backend
    backend.close()


def test_positions_far_behind_the_window_are_given_up(gemma: LlamaBackend) -> None:
    assert gemma.memory is MemoryKind.SLIDING
    vocabulary = LlamaVocabulary(gemma.model)
    line = vocabulary.tokenize("The quick brown fox jumps over the lazy dog, and then it sleeps.\n", special=False)
    prompt = ([vocabulary.bos or 0] + line * 200)[:1300]
    first = feed(gemma, 0, prompt[:200])
    assert gemma.covers(0, 200)
    gemma.copy(0, 1, 200)
    feed(gemma, 0, prompt[200:], 200)
    assert gemma.covers(0, 1300)
    assert not gemma.covers(0, 200)
    assert not gemma.covers(0, 1501)
    assert gemma.covers(1, 200)  # a copy keeps the cells that it shares
    assert gemma.truncate(1, 199)
    assert gemma.covers(1, 199)
    assert np.abs(feed(gemma, 1, prompt[199:200], 199) - first).max() < 1.0

    state = gemma.save(0)
    expected = feed(gemma, 0, prompt[:1], 1300)
    gemma.truncate(0, 0)
    gemma.truncate(1, 0)
    assert gemma.restore(1, state)
    assert gemma.covers(1, 1300)
    assert np.abs(feed(gemma, 1, prompt[:1], 1300) - expected).max() < 1.0
    gemma.truncate(1, 0)
    gemma.copy(0, 1, 10)  # of an empty sequence
    assert not gemma.covers(1, 10)
    assert gemma.decode([Run(1, 0, prompt[:10], 1)]) is DecodeStatus.OK


def test_a_sentencepiece_vocabulary(gemma: LlamaBackend) -> None:
    vocabulary = LlamaVocabulary(gemma.model)
    assert len(vocabulary) == 262_144
    assert vocabulary.adds_bos
    for text in ("Hello  world", "नमस्ते दुनिया", "🙂 one\n\ntwo\ttabs", "ሰላም 😀 \u0001"):
        tokens = vocabulary.tokenize(text, special=False)
        assert b"".join(map(vocabulary.piece, tokens)).decode() == text
    (turn,) = vocabulary.tokenize("<end_of_turn>", special=True)
    assert vocabulary.is_special(turn) and vocabulary.is_end(turn)
    assert vocabulary.piece(turn) == b"<end_of_turn>"
