"""One backend over the demo model, emptied for every test that asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings

CONTEXT = 256


@pytest.fixture(scope="session")
def vocabulary(demo_path: Path) -> Iterator[LlamaVocabulary]:
    vocabulary = LlamaVocabulary.from_path(demo_path)
    yield vocabulary
    vocabulary.close()


@pytest.fixture(scope="session")
def _opened(demo_path: Path) -> Iterator[LlamaBackend]:
    settings = ModelSettings(demo_path, context=CONTEXT, threads=1)
    backend = LlamaBackend.load(settings, EngineSettings(parallel=4, cached_sequences=4))
    yield backend
    backend.close()


@pytest.fixture
def backend(_opened: LlamaBackend) -> LlamaBackend:
    for seq in range(_opened.limits.sequences):
        _opened.truncate(seq, 0)
    return _opened
