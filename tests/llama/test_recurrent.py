"""Recurrent memory, on a tiny random Mamba: only whole states can be shared, saved or kept."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ggufrun.engine.backend import MemoryKind
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import EngineSettings, ModelSettings
from tests.llama.steps import feed

PROMPT = [5, 17, 3, 99, 42, 7, 12, 64, 33, 8]


@pytest.fixture
def mamba(tiny_model: Callable[[str], Path]) -> Iterator[LlamaBackend]:
    settings = ModelSettings(tiny_model("recurrent-tiny"), context=256, threads=1)
    backend = LlamaBackend.load(settings, EngineSettings(parallel=2, cached_sequences=24))
    yield backend
    backend.close()


def test_it_is_known_as_recurrent_and_keeps_few_states(mamba: LlamaBackend) -> None:
    assert mamba.memory is MemoryKind.RECURRENT
    assert mamba.limits.sequences == 4


def test_nothing_is_rolled_back(mamba: LlamaBackend) -> None:
    feed(mamba, 0, PROMPT)
    assert not mamba.truncate(0, 5)
    assert mamba.truncate(0, len(PROMPT))
    assert mamba.covers(0, len(PROMPT))
    assert not mamba.covers(0, 5)
    assert not mamba.covers(0, len(PROMPT) + 1)
    assert mamba.truncate(0, 0)
    assert not mamba.covers(0, len(PROMPT))


def test_a_copied_and_a_restored_state_go_on_like_the_first(mamba: LlamaBackend) -> None:
    feed(mamba, 0, PROMPT)
    state = mamba.save(0)
    mamba.copy(0, 1, len(PROMPT))
    assert mamba.restore(2, state)
    assert mamba.covers(1, len(PROMPT)) and mamba.covers(2, len(PROMPT))
    rows = [feed(mamba, seq, [77], len(PROMPT)) for seq in range(3)]
    assert np.abs(rows[1] - rows[0]).max() < 1e-3
    assert np.abs(rows[2] - rows[0]).max() < 1e-3
    assert not mamba.restore(3, state[: len(state) // 2])
    assert not mamba.covers(3, 1)
