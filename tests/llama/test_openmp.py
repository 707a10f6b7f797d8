"""OpenMP's threads: given back by who has nothing to compute, and by the encoder behind every picture"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.llama import openmp
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.vision import LlamaVision
from ggufrun.settings import EngineSettings, ModelSettings

THREADS = 3

pytestmark = pytest.mark.skipif(openmp._pause() is None, reason="llama.cpp is not linked to GNU's OpenMP")


@pytest.fixture
def backend(tiny_vision: Path) -> Iterator[LlamaBackend]:
    settings = ModelSettings(tiny_vision / "model.gguf", context=256, threads=THREADS)
    backend = LlamaBackend.load(settings, EngineSettings(parallel=1, cached_sequences=1))
    openmp.give_back_threads()  # those of tests before
    yield backend
    backend.close()


def threads() -> int:
    return psutil.Process().num_threads()


def comes_to(count: int) -> bool:
    """The system may count a thread that has ended for a moment."""
    end = time.monotonic() + 30
    while threads() != count and time.monotonic() < end:
        time.sleep(0.01)
    return threads() == count


def test_a_backend_that_rests_keeps_no_threads_and_computes_the_same_again(backend: LlamaBackend) -> None:
    before, found = threads(), []
    for _ in range(2):
        backend.truncate(0, 0)
        assert backend.decode([Run(0, 0, [1, 3, 1100, 1200], 1)]) is DecodeStatus.OK
        found.append(backend.logits(0).copy())
        assert threads() == before + THREADS - 1
        backend.rest()
        assert comes_to(before)
    assert (found[0] == found[1]).all()


def test_a_picture_leaves_no_threads_behind_that_slow_the_decodes_after_it(
    backend: LlamaBackend, tiny_vision: Path
) -> None:
    vision = LlamaVision(tiny_vision / "mmproj.gguf", backend.model, THREADS, gpu=False)
    before, lengths, alone = threads(), list[int](), list[bool]()

    def encode() -> None:
        lengths.append(len(vision.encode(56, 56, bytes(3 * 56 * 56))))
        alone.append(comes_to(before + 1))  # while this one lives

    helper = threading.Thread(target=encode)
    helper.start()
    helper.join(120)
    vision.close()
    assert (lengths, alone) == ([5], [True])
