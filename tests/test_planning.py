"""Plans made for this machine as it is: the measuring process, the files and the loads are real."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ggufrun.errors import OutOfMemory
from ggufrun.fit import probe
from ggufrun.fit.ladder import Ladder
from ggufrun.llama import library
from ggufrun.opening import planning, starting
from ggufrun.opening.describing import describe
from ggufrun.opening.loading import open_model
from ggufrun.opening.measuring import Measuring
from ggufrun.settings import EngineSettings, ModelOverrides
from ggufrun.store.resolve import resolve
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


async def test_what_was_small_for_want_of_memory_is_not_once_all_obviously_fits(
    tiny_model: Callable[[str], Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed when it was loaded is another matter: it would fail again."""
    path = tiny_model("llama-tiny")
    with monkeypatch.context() as patched:
        patched.setattr(planning, "_OBVIOUS", 0.0)
        assert await context_of(path) == 16_384
    (plan,) = (home / "plans").iterdir()
    stored = json.loads(plan.read_text())
    plan.write_text(json.dumps({**stored, "context": 5120, "note": "context 5120 of 16384"}))
    assert await context_of(path) == 16_384
    plan.write_text(json.dumps({**stored, "context": 5120, "given_up": "context 5120 instead of 16384"}))
    async with asyncio.timeout(60), open_model(str(path), {}, ENGINE) as model:
        assert (model.info.context, model.info.note) == (5120, "context 5120 instead of 16384")


@pytest.mark.usefixtures("nothing_is_obvious")
async def test_where_nothing_can_be_measured_the_whole_context_is_tried_and_what_worked_is_kept(
    tiny_model: Callable[[str], Path], nothing_can_be_measured: Callable[[], None], home: Path
) -> None:
    nothing_can_be_measured()
    planned = planning.Planning("tiny", resolve(str(tiny_model("llama-tiny"))), {}, ENGINE, home)
    assert planned.at_once() is None
    choice = planned.choose()
    assert choice.settings.context == choice.knobs.context == 16_384 and choice.free.keys() == {"RAM"}
    ladder = Ladder(choice.settings, choice.knobs)
    assert ladder.step(weights=False)
    planned.worked(choice, ladder)
    assert (again := planned.choose()).remembered
    assert (again.settings.context, again.note) == (8192, "context 8192 instead of 16384")


@pytest.mark.usefixtures("nothing_is_obvious")
async def test_an_embedding_model_is_planned_too_and_its_inputs_stay_as_long(
    tiny_model: Callable[[str], Path], home: Path
) -> None:
    path = tiny_model("llama-mean-tiny")
    longest = describe(str(path), {})[0].context
    assert await context_of(path) == longest
    (plan,) = (home / "plans").iterdir()
    assert json.loads(plan.read_text())["context"] == longest
    planned = planning.Planning("tiny", resolve(str(path)), {}, ENGINE, home)
    assert longest > 4096 and not rungs(planned.choose())


def rungs(choice: planning.Choice) -> list[int | None]:
    ladder, found = Ladder(choice.settings, choice.knobs), []
    while ladder.step(weights=False):
        found.append(ladder.settings.context)
    return found


def test_a_note_says_the_command_that_plans_the_same(tiny_model: Callable[[str], Path], home: Path) -> None:
    found = resolve(str(tiny_model("llama-tiny")))
    given = {"kv_type": "f16", "flash_attention": "on", "threads": 2}
    with Measuring() as here:
        tight = replace(here._machine, ram_free=here._machine.ram_margin + (5 << 20))
        here._machine = tight
        note = here.planned("my tiny", found, given, EngineSettings(parallel=1, batch=64)).note
    command = "`ggufrun fit 'my tiny' --kv-type f16 --flash-attn on --batch 64 --parallel 1`"
    assert note.endswith(f"; {command} says why")


def until(seen: Callable[[], bool]) -> None:
    while not seen():
        time.sleep(0.05)


async def test_who_gives_up_while_it_is_planned_does_not_wait(
    tiny_model: Callable[[str], Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measuring process hangs: its answer would be waited for a minute."""
    stuck = home / "stuck.py"
    stuck.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(probe, "MODULE", "stuck")
    monkeypatch.syspath_prepend(home)
    monkeypatch.setattr(planning, "_OBVIOUS", 0.0)
    planned = planning.Planning("tiny", resolve(str(tiny_model("llama-tiny"))), {}, ENGINE, home)
    loading = asyncio.create_task(starting.load(planned, None))
    began = time.monotonic()
    await asyncio.to_thread(until, lambda: planned._measuring is not None and planned._measuring._probe._lock.locked())
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    await asyncio.get_running_loop().shutdown_default_executor()  # as a program's end does
    assert time.monotonic() - began < 30


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
    assert describe(str(path), {})[0].context == 16_384
    assert describe(str(path), {"context": 512})[0].context == 512
