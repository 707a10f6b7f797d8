"""Models are asked for tool calls: free, and with nothing but a call left. And how a run is stopped"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.chat.types import ChatModel, ChatOptions, ChatRequest, ChoiceFinished, Message
from ggufrun.compare.tasks import tools
from ggufrun.compare.tasks.bfcl import Item, usable
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings

ENGINE = EngineSettings(disk_cache=None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def short(bfcl_wheel: Path) -> list[Item]:
    """Items of two kinds, with the shortest prompts that there are."""
    found = sorted(usable(bfcl_wheel), key=lambda item: len(str(item.messages)) + len(str(item.tools)))
    groups = [[item for item in found if item.group == group][:3] for group in ("simple_python", "multiple")]
    return [*groups[0], *groups[1]]


async def answers(model: ChatModel) -> bool:
    request = ChatRequest((Message(role="user", content="Hello"),), ChatOptions(max_tokens=2))
    return any([isinstance(event, ChoiceFinished) async for event in model.complete(request)])


async def test_forced_there_is_nothing_but_a_call(demo_path: Path, short: list[Item]) -> None:
    told: list[tuple[int, int]] = []
    async with open_model(str(demo_path), {"context": tools.CONTEXT}, ENGINE) as model:
        found = await tools.run(model, [short[0], short[3]], forced=True, progress=lambda *at: told.append(at))
    assert told == [(1, 2), (2, 2)]
    assert [outcome.item for outcome in found] == [short[0].id, short[3].id]
    assert all(outcome.marks["parsed"] and outcome.marks["schema_valid"] for outcome in found)
    assert found[0].marks["right_function"]  # there is no other


@pytest.mark.process
async def test_free_there_is_what_the_model_likes(tiny_model: Callable[[str], Path], short: list[Item]) -> None:
    """A model of random weights: no call."""
    async with open_model(str(tiny_model("llama-tiny")), {"context": tools.CONTEXT}, ENGINE) as model:
        (outcome,) = await tools.run(model, short[:1], forced=False, progress=lambda *at: None)
    assert outcome.answer and not outcome.right
    assert outcome.marks == {"parsed": False, "schema_valid": False, "right_function": False, "right_arguments": False}


@pytest.mark.slow
async def test_free_and_forced(demo_path: Path, short: list[Item]) -> None:
    told: list[tuple[int, int]] = []
    async with open_model(str(demo_path), {"context": tools.CONTEXT}, ENGINE) as model:
        forced = await tools.run(model, short, forced=True, progress=lambda *at: told.append(at))
        free = await tools.run(model, short[:2], forced=False, progress=lambda *at: None)
    assert told == [(done, 6) for done in range(1, 7)]
    assert [outcome.item for outcome in forced] == [item.id for item in short]
    assert all(outcome.marks["parsed"] and outcome.marks["schema_valid"] for outcome in forced)
    assert sum(outcome.marks["right_function"] for outcome in forced[:3]) == 3  # there is no other
    assert any(outcome.right for outcome in forced)
    assert all(outcome.right <= outcome.marks["right_arguments"] for outcome in forced)
    assert [outcome.item for outcome in free] == [item.id for item in short[:2]]
    assert all(outcome.answer and set(outcome.marks) == set(forced[0].marks) for outcome in free)


@pytest.mark.process
async def test_what_does_not_fit_is_wrong_and_says_why(tiny_model: Callable[[str], Path], short: list[Item]) -> None:
    async with open_model(str(tiny_model("llama-tiny")), {"context": 64}, ENGINE) as model:
        (outcome,) = await tools.run(model, short[:1], forced=True, progress=lambda *at: None)
    assert not outcome.right and not any(outcome.marks.values())
    assert "the context holds 64" in outcome.answer


@pytest.mark.process
@pytest.mark.parametrize("how", ["the task is cancelled", "progress raises"])
async def test_a_run_that_is_stopped_leaves_a_model_that_answers(
    tiny_model: Callable[[str], Path], short: list[Item], how: str
) -> None:
    first = asyncio.Event()

    def progress(done: int, of: int) -> None:
        first.set()
        if how == "progress raises":
            raise KeyError("stop")

    async with open_model(str(tiny_model("llama-tiny")), {"context": tools.CONTEXT}, ENGINE) as model:
        run = asyncio.create_task(tools.run(model, short * 6, forced=False, progress=progress))
        await first.wait()
        run.cancel()
        with pytest.raises(KeyError if how == "progress raises" else asyncio.CancelledError):
            await run
        assert await answers(model)


async def test_nothing_to_ask_asks_nothing(tiny_model: Callable[[str], Path]) -> None:
    async with open_model(str(tiny_model("llama-tiny")), {"context": 64}, ENGINE) as model:
        assert await tools.run(model, [], forced=True, progress=lambda *at: None) == []
