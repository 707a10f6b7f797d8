"""A tiny model and the demo model as a scoring process has them, and texts of their tokens."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.files import Text, read_tokens, write_tokens
from ggufrun.settings import ModelSettings


@pytest.fixture(scope="session")
def tiny(tiny_model: Callable[[str], Path]) -> Iterator[Contexts]:
    contexts = Contexts.load(ModelSettings(tiny_model("llama-tiny"), context=256, threads=1))
    yield contexts
    contexts.close()


@pytest.fixture(scope="session")
def demo(demo_path: Path) -> Iterator[Contexts]:
    contexts = Contexts.load(ModelSettings(demo_path, context=256, threads=1))
    yield contexts
    contexts.close()


@pytest.fixture
def text_of(tmp_path: Path) -> Callable[[Sequence[Sequence[int]], Sequence[int]], Text]:
    def make(chunks: Sequence[Sequence[int]], firsts: Sequence[int]) -> Text:
        write_tokens(tmp_path / "text.npz", chunks, firsts, [index % 2 for index in range(len(chunks))])
        return read_tokens(tmp_path / "text.npz")

    return make


def tokens(count: int, *, vocabulary: int = 512, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(4, vocabulary), k=count)  # the first are special


def nothing(done: int, of: int) -> None:
    """No progress is shown."""
