"""The files that `benchmarks.gpu` writes: llama.cpp loads them, and what it computes with them are numbers."""

from pathlib import Path

import numpy as np
import pytest
from gguf import quants
from gguf.constants import GGMLQuantizationType as Type

from benchmarks.gpu.weights import BLOCKS, WEIGHT, fill, random_blocks, write
from ggufrun.engine.backend import Run
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import EngineSettings, ModelSettings
from tests.shapes import SMALL, sparse_copy


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_are_weights_of_the_usual_size(kind: int) -> None:
    blocks = BLOCKS[kind]
    first = random_blocks(kind)[: blocks.size * 2000].reshape(-1, blocks.size)
    weights = quants.dequantize(first, Type(kind))
    assert np.isfinite(weights).all()
    assert abs(weights.mean()) < 0.1 * WEIGHT
    assert 0.8 * WEIGHT < weights.std() < 1.25 * WEIGHT


def logits(path: Path) -> np.ndarray:
    backend = LlamaBackend.load(ModelSettings(path, context=256, threads=1, gpu_layers=0), EngineSettings())
    backend.decode([Run(0, 0, list(range(100, 132)), outputs=2)])
    found = np.stack([backend.logits(row).copy() for row in range(2)])
    backend.close()
    return found


@pytest.mark.process
@pytest.mark.parametrize("kind", SMALL)
def test_a_model_computes_with_them(kind: str, tmp_path: Path) -> None:
    path = write(kind, tmp_path / "random.gguf", tekken=False)
    found = logits(path)
    assert np.isfinite(found).all()
    assert 0.05 < found.std() < 50  # noise, and not one number for all tokens
    fill(empty := sparse_copy(path, tmp_path / "again.gguf"), threads=2)
    assert empty.read_bytes() == path.read_bytes()  # whichever thread came first
