"""What is timed, by counting what the backend is asked for."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.speed import speed
from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import ModelSettings

Asked = list[tuple[int, int, int]]  # start, tokens, outputs


class Recorded(LlamaBackend):
    asked: Asked

    def decode(self, runs: Sequence[Run]) -> DecodeStatus:
        self.asked += [(run.start, len(run.tokens), run.outputs) for run in runs]
        return super().decode(runs)


@pytest.fixture(params=["llama-tiny", "recurrent-tiny"])
def contexts(tiny_model: Callable[[str], Path], request: pytest.FixtureRequest) -> Iterator[Contexts]:
    backend = Recorded.load(ModelSettings(tiny_model(request.param), context=64, threads=1))
    assert isinstance(backend, Recorded)
    backend.asked = []
    contexts = Contexts(backend)
    yield contexts
    contexts.close()


def test_each_repetition_reads_and_writes_the_same(contexts: Contexts) -> None:
    said: list[tuple[int, int]] = []
    found = speed(contexts, 600, 3, [0, 70], 2, lambda done, of: said.append((done, of)))
    assert {name: len(found[name]) for name in ("pp", "tg")} == {"pp": 2, "tg": 2}
    assert {name: len(times) for name, times in found["depths"]["70"].items()} == {"pp": 2, "tg": 2}
    assert all(value > 0 for value in (*found["pp"], *found["tg"]))
    assert said == sorted(said) and said[-1] == (8, 8)
    assert isinstance(contexts.backend, Recorded)
    shallow = 3 * [(0, 512, 0), (512, 88, 1)] + [(0, 1, 1)] + 2 * [(at, 1, 1) for at in range(3)]
    assert contexts.backend.asked[: len(shallow)] == shallow
    deep = [run for run in contexts.backend.asked[len(shallow) :] if run != (0, 70, 1)]
    assert deep == 3 * [(70, 512, 0), (582, 88, 1)] + [(70, 1, 1)] + 2 * [(at, 1, 1) for at in range(70, 73)]


def test_a_depth_is_computed_once_where_it_can_be_kept(contexts: Contexts) -> None:
    speed(contexts, 8, 2, [16], 3, lambda done, of: None)
    assert isinstance(contexts.backend, Recorded)
    times = contexts.backend.asked.count((0, 16, 1))
    assert times == (1 if contexts.backend.memory == "full" else 8)
