"""Models that do not fit: real ones, in real worker processes that get too little memory."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ggufrun.chat.types import ChatModel, ChatOptions, ChatRequest, ChoiceFinished, Message
from ggufrun.commandline.flags import LoadFlags
from ggufrun.commandline.pooling import opened_pool
from ggufrun.errors import OutOfMemory
from ggufrun.llama import library
from ggufrun.llama.failures import model_failure
from ggufrun.opening import starting
from ggufrun.opening.loading import open_model
from ggufrun.pool.offer import PoolSettings
from ggufrun.settings import EngineOverrides, EngineSettings, ModelOverrides
from tests.short_of_memory import attempts

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's"),
]
ENGINE = EngineSettings(disk_cache=None)
ASKED = ChatRequest((Message(role="user", content="go"),), ChatOptions(max_tokens=2))


class Scarce:
    """A tiny model in a home of its own, and how much memory its process gets."""

    def __init__(self, home: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model, self._patch = home / "tiny.gguf", monkeypatch
        self.model.symlink_to(source)
        self.plans = home / "plans"
        monkeypatch.setenv("GGUFRUN_HOME", str(home))

    def give(self, factory: str, memory: int) -> None:
        self._patch.setattr(starting, "FACTORY", f"tests.short_of_memory:{factory}")
        self.model.with_name("memory").write_text(str(memory))

    @asynccontextmanager
    async def opened(
        self, overrides: ModelOverrides | None = None, *, sparing: bool = True
    ) -> AsyncIterator[ChatModel]:
        async with asyncio.timeout(60):
            async with open_model(str(self.model), overrides or {}, ENGINE, sparing=sparing) as model:
                yield model

    async def context(self) -> int:
        async with self.opened() as model:
            return model.info.context

    def tried(self) -> list[str]:
        """Since it was asked last."""
        found = attempts(self.model)
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.model.with_name("attempts"))
        return found


@pytest.fixture
def scarce(tmp_path: Path, tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Scarce:
    return Scarce(tmp_path, tiny_model("llama-tiny"), monkeypatch)


async def test_the_largest_context_that_memory_bears_answers_and_is_remembered(scarce: Scarce) -> None:
    scarce.give("limited", 55)
    async with scarce.opened() as model:
        events = [event async for event in model.complete(ASKED)]
    assert any(isinstance(event, ChoiceFinished) for event in events)
    assert model.info.context == 8192
    assert model.info.note == "memory did not suffice for more: context 8192 instead of 16384"
    assert scarce.tried() == ["16384 f16", "8192 f16"]
    async with scarce.opened() as model:
        assert (model.info.context, model.info.note) == (8192, "context 8192 instead of 16384")
    assert scarce.tried() == ["8192 f16"]


async def test_what_is_remembered_and_fails_is_forgotten(scarce: Scarce) -> None:
    scarce.give("limited", 55)
    assert await scarce.context() == 8192
    (plan,) = scarce.plans.iterdir()
    before = plan.read_text()
    scarce.tried()
    scarce.give("killed", 1)
    assert await scarce.context() == 16_384
    assert scarce.tried() == ["8192 f16", "16384 f16"]
    assert not plan.exists()
    plan.write_text(before[:20])  # damaged
    assert await scarce.context() == 8192  # the factory kills the first one again
    assert scarce.tried() == ["16384 f16", "8192 f16"]


async def test_a_remembered_plan_that_cannot_be_removed_is_tried_once(
    scarce: Scarce, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce.give("limited", 55)
    assert await scarce.context() == 8192
    scarce.tried()
    monkeypatch.setattr(Path, "unlink", _refuse)
    scarce.give("killed", 1)
    assert await scarce.context() == 16_384
    assert scarce.tried() == ["8192 f16", "16384 f16"]


def _refuse(_: Path, missing_ok: bool = False) -> None:
    raise PermissionError("read-only")


async def test_a_pinned_context_is_not_changed(scarce: Scarce) -> None:
    scarce.give("limited", 55)
    with pytest.raises(OutOfMemory, match="A context of 16384 tokens does not fit") as caught:
        async with scarce.opened({"context": 16_384}):
            pass
    assert scarce.tried() == ["16384 f16", "16384 q8_0"] and "Tried" not in str(caught.value)
    assert not scarce.plans.exists()


async def test_what_is_pinned_in_the_settings_file_is_not_changed(scarce: Scarce) -> None:
    scarce.give("limited", 55)
    scarce.model.with_name("ggufrun.toml").write_text("[models.tiny]\ncontext = 16000\n")
    with pytest.raises(OutOfMemory):
        await scarce.context()
    assert scarce.tried() == ["16000 f16", "16000 q8_0"]


async def test_where_nothing_fits_the_error_says_what_was_tried(scarce: Scarce) -> None:
    scarce.give("limited", 3)
    with pytest.raises(OutOfMemory) as caught:
        await scarce.context()
    assert "Tried: context 16384, f16 KV cache; context 8192, f16 KV cache; context 4096," in caught.value.message
    assert scarce.tried() == ["16384 f16", "8192 f16", "4096 f16", "4096 q8_0"]
    assert not scarce.plans.exists()


async def test_where_the_weights_do_not_fit_no_other_context_is_tried(scarce: Scarce) -> None:
    scarce.give("cramped", 0)
    with pytest.raises(OutOfMemory) as caught:
        await scarce.context()
    assert scarce.tried() == ["16384 f16"] and caught.value.hint


@pytest.mark.parametrize("gpu", [False, True])
def test_layers_are_offloaded_by_who_has_a_gpu(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "supports_gpu", lambda: gpu)
    hint = model_failure(Path("m.gguf"), ["unable to allocate CPU buffer"]).hint
    assert "smaller quant" in hint and ("--gpu-layers" in hint) is gpu


async def test_a_killed_load_is_taken_for_a_lack_of_memory_once(scarce: Scarce) -> None:
    scarce.give("killed", 1)
    assert await scarce.context() == 8192
    assert scarce.tried() == ["16384 f16", "8192 f16"]
    scarce.give("killed", 2)
    with pytest.raises(OutOfMemory, match="signal 9"):
        async with scarce.opened({"kv_type": "f16"}):  # not what is remembered
            pass
    assert scarce.tried() == ["16384 f16", "8192 f16"]


async def test_an_abort_for_memory_is_a_lack_of_memory(scarce: Scarce) -> None:
    scarce.give("aborting", 0)
    assert await scarce.context() == 4096
    assert scarce.tried() == ["16384 f16", "8192 f16", "4096 f16"]


async def test_nothing_is_given_up_where_memory_can_be_made(scarce: Scarce) -> None:
    scarce.give("limited", 55)
    for _ in range(2):
        with pytest.raises(OutOfMemory):
            async with scarce.opened(sparing=False):
                pass
        assert scarce.tried() == ["16384 f16"]
    assert await scarce.context() == 8192
    scarce.tried()
    with pytest.raises(OutOfMemory, match="context 8192 instead of 16384"):
        async with scarce.opened(sparing=False):
            pass
    assert scarce.tried() == []


async def test_a_cache_that_the_model_cannot_have_is_passed_over(scarce: Scarce) -> None:
    """The model's heads are too small for q8_0."""
    scarce.give("limited", 3)
    with pytest.raises(OutOfMemory) as caught:
        await scarce.context()
    assert scarce.tried()[-1] == "4096 q8_0" and "q8_0" not in caught.value.message


async def test_a_pool_unloads_an_idle_model_rather_than_to_load_another_with_less(
    scarce: Scarce, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scarce.give("limited", 55)
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "memory").write_text("2000")
    rich = tmp_path / "rich" / "other.gguf"
    rich.symlink_to(scarce.model.resolve())
    models = [str(rich), str(scarce.model)]
    async with (
        asyncio.timeout(60),
        opened_pool(models, PoolSettings(), LoadFlags(), EngineOverrides(disk_cache=None)) as pool,
    ):
        for name, states in (("other", ["ready", "unloaded"]), ("tiny", ["unloaded", "ready"])):
            await pool.load(name)
            assert [model.state for model in pool.served()] == states
        assert scarce.tried() == ["16384 f16", "16384 f16", "8192 f16"]
        assert pool.served()[1].info.context == 8192
        assert "tiny: memory did not suffice for more: context 8192" in caplog.text
