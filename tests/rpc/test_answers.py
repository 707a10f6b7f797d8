"""The demo model over two processes: the greedy answers are those of one process, wherever its layers lie."""

from pathlib import Path

import pytest

from ggufrun.opening import starting
from ggufrun.settings import ModelOverrides
from tests.rpc.asking import QUESTIONS, SAME, answer, opened
from tests.rpc.lent import LentMachine
from tests.rpc.plain import FACTORY


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    monkeypatch.setattr(starting, "FACTORY", FACTORY)


async def answers(path: Path, overrides: ModelOverrides, questions: tuple[str, ...]) -> list[str]:
    async with opened(path, overrides) as model:
        return [await answer(model, question) for question in questions]


async def test_all_layers_there_and_the_output_here(demo_path: Path, lent: LentMachine) -> None:
    alone = await answers(demo_path, SAME, QUESTIONS[:1])
    assert await answers(demo_path, {**SAME, "rpc": (lent.address,)}, QUESTIONS[:1]) == alone


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"gpu_layers": 15}, {"override_tensors": ("^rope_freqs=CPU",)}])
async def test_more_questions_and_other_ways(demo_path: Path, lent: LentMachine, more: ModelOverrides) -> None:
    """All there but the output; half there; all there."""
    alone = await answers(demo_path, SAME, QUESTIONS)
    shared = ModelOverrides(**{**SAME, "rpc": (lent.address,), **more})
    assert await answers(demo_path, shared, QUESTIONS) == alone


@pytest.mark.slow
async def test_two_workers(demo_path: Path, lent: LentMachine) -> None:
    alone = await answers(demo_path, SAME, QUESTIONS)
    with LentMachine() as second:
        shared = ModelOverrides(**{**SAME, "rpc": (lent.address, second.address), "tensor_split": (1.0, 1.0)})
        assert await answers(demo_path, shared, QUESTIONS) == alone
