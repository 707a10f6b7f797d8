"""Plans made for this machine as it is: the measuring process, the files and the loads are real."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ggufrun.errors import OutOfMemory
from ggufrun.fit import probe
from ggufrun.llama import library
from ggufrun.opening import planning, starting
from ggufrun.opening.describing import describe
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings, ModelOverrides
from tests.shapes import write
from tests.short_of_memory import attempts

pytestmark = pytest.mark.process
ENGINE = EngineSettings(disk_cache=None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    return tmp_path


async def context_of(path: Path, overrides: ModelOverrides | None = None) -> int:
    async with asyncio.timeout(60), open_model(str(path), overrides or {}, ENGINE) as model:
        assert not model.info.note
        return model.info.context


@pytest.fixture
def nothing_is_obvious(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_OBVIOUS", 0.0)


@pytest.fixture
def nothing_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(probe, "MODULE", "ggufrun.no_such_module")


async def test_what_obviously_fits_is_not_measured_nor_remembered(
    tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.delattr(planning.Planning, "choose")
    assert await context_of(tiny_model("llama-tiny")) == 16_384
    assert not (home / "plans").exists()


@pytest.mark.usefixtures("nothing_is_obvious")
async def test_a_measured_plan_is_made_once(
    tiny_model: Callable[[str], Path], nothing_can_be_measured: Callable[[], None], home: Path
) -> None:
    path = tiny_model("llama-tiny")
    assert await context_of(path) == 16_384
    (plan,) = (home / "plans").iterdir()
    stored = json.loads(plan.read_text())
    assert (stored["context"], stored["kv_type"], stored["given_up"]) == (16_384, "f16", "")
    assert stored["free"]["RAM"] == pytest.approx(psutil.virtual_memory().available, rel=0.5)
    nothing_can_be_measured()
    plan.write_text(json.dumps({**stored, "context": 5120}))
    assert await context_of(path) == 5120
    assert await context_of(path, {"kv_type": "f16"}) == 16_384  # not what was remembered, and not measured either


async def test_a_build_for_gpus_asks_for_them_first(
    tiny_model: Callable[[str], Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And finds none here."""
    monkeypatch.setattr(library, "supports_gpu", lambda: True)
    path = tiny_model("llama-tiny")
    assert await context_of(path) == 16_384
    (plan,) = (home / "plans").iterdir()
    stored = json.loads(plan.read_text())
    assert (stored["gpu_layers"], list(stored["free"])) == (0, ["RAM"])
    plan.write_text(json.dumps({**stored, "context": 5120}))
    assert await context_of(path) == 5120


@pytest.mark.usefixtures("nothing_is_obvious")
async def test_a_pinned_context_is_the_plans(tiny_model: Callable[[str], Path]) -> None:
    assert await context_of(tiny_model("llama-tiny"), {"context": 3000}) == 3000


async def test_what_cannot_fit_is_refused_before_it_is_loaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the user says how to load it."""
    if psutil.virtual_memory().available > 64 << 30:
        pytest.skip("this machine holds the largest shape")
    huge = write("medium-3.5", home / "huge.gguf")
    monkeypatch.setattr(starting, "FACTORY", "tests.short_of_memory:killed")
    (home / "memory").write_text("9")
    with pytest.raises(OutOfMemory, match=r"huge does not fit .* It needs 7.* `ggufrun fit /.*huge.gguf` says more"):
        await context_of(huge)
    assert attempts(huge) == []
    with pytest.raises(OutOfMemory, match="signal 9"):
        await context_of(huge, {"context": 4096, "kv_type": "f16"})
    assert attempts(huge) == ["4096 f16"]


def test_a_description_has_the_plans_context(tiny_model: Callable[[str], Path]) -> None:
    path = tiny_model("llama-tiny")
    assert describe(str(path), {}).context == 16_384
    assert describe(str(path), {"context": 512}).context == 512
