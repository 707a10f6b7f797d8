"""Models that are opened and closed around what goes wrong beside the engine. The engine is the real one."""

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.types import ChatOptions, ChatRequest, ChoiceFinished, Message
from ggufrun.engine.grammar import GrammarError
from ggufrun.errors import GgufrunError
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings

ENGINE = EngineSettings(disk_cache=None)
ASKED = ChatRequest((Message(role="user", content="go"),), ChatOptions(max_tokens=2))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))


async def test_nothing_is_left_of_a_model_that_does_not_load(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    """Neither half loads: the architecture is unknown to llama.cpp."""
    foreign = tmp_path / "foreign.gguf"
    foreign.write_bytes(tiny_model("llama-tiny").read_bytes().replace(b"llama", b"ahmal"))
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    failure = ""
    try:  # not pytest.raises: it keeps the frames, and the task in them
        async with asyncio.timeout(60), open_model(str(foreign), {}, ENGINE):
            pass
    except GgufrunError as error:
        failure = error.message
    assert "'ahmal' is unknown" in failure
    assert asyncio.all_tasks() == before
    for _ in range(3):  # until the frames are gone, and an error that nobody read with them
        gc.collect()
        await asyncio.sleep(0.05)
    assert not complaints


async def test_a_vocabulary_that_no_grammar_can_use_does_not_keep_a_model_from_closing(
    tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: GrammarFactory) -> None:
        raise GrammarError("The model's vocabulary has no end-of-generation token: no grammar can end.")

    monkeypatch.setattr(GrammarFactory, "warm", refuse)
    with caplog.at_level(logging.INFO, "ggufrun.opening.loading"):
        async with asyncio.timeout(60), open_model(str(tiny_model("llama-tiny")), {"context": 256}, ENGINE) as model:
            events = [event async for event in model.complete(ASKED)]
    assert any(isinstance(event, ChoiceFinished) for event in events)
    assert "grammars cannot be used: The model's vocabulary has no end" in caplog.text
