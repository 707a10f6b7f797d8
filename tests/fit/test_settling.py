"""Plans that llama.cpp has the last word on: what it says is held against the room, and the search learns from it.

There is no GPU here, so a stand-in says what one would: our sums, and so much more or less.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ggufrun.errors import CannotMeasure, OptionError, OutOfMemory
from ggufrun.fit.layout import Layout
from ggufrun.fit.measured import Amounts, Measured
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.search import Search
from ggufrun.fit.subject import Wishes
from ggufrun.fit.task import Task
from ggufrun.settings import EngineSettings, ModelOverrides, ModelSettings
from tests.fit.planned import GIB, check_room, machine_of, subject_of

MIB = 1 << 20


class StandIn:
    """Says what a plan's settings take, `more` bytes added to what each GPU computes with."""

    def __init__(self, kind: str, more: Callable[[int], int], *sizes: float) -> None:
        self.asked: list[ModelSettings] = []
        self._more = more
        self._machine = machine_of(*sizes)
        self._subject = subject_of(kind)

    def __call__(self, settings: ModelSettings, engine: EngineSettings) -> Measured:
        self.asked.append(settings)
        assert settings.context is not None and settings.gpu_layers != "auto"
        pinned = ModelOverrides(override_tensors=settings.override_tensors)
        task = Task.of(self._subject, self._machine, Wishes(pinned, engine))
        counts = tuple(int(share) for share in settings.tensor_split) or (settings.gpu_layers,)
        size = task.size(settings.context, settings.kv_type, on_cpu=not settings.gpu_layers)
        flash = task.flash(settings.kv_type, on_cpu=sum(counts) < task.shape.layers)
        uses = Search(task).placement.uses(Layout(size, flash, counts))
        devices = {
            gpu.name: Amounts(use.weights, use.kv, max(0, use.compute + self._more(i)) if use.weights else 0)
            for i, (gpu, use) in enumerate(zip(self._machine.gpus, uses, strict=False))
        }
        devices["RAM"] = Amounts(uses[-1].weights, uses[-1].kv, uses[-1].compute)
        return Measured(devices, settings.context, engine.batch, size.ubatch, size.sequences)


def settled(stand_in: StandIn, *sizes: float, **pinned: object) -> Plan:
    machine = replace(machine_of(*sizes), here=True)
    return make_plan(stand_in._subject, machine, Wishes(pinned), stand_in)  # type: ignore[arg-type]


@pytest.mark.parametrize("more", [-600, -250, 0, 100, 700, 2000])
@pytest.mark.parametrize("kind, size", [("medium-3.5", 24), ("small-24b", 17), ("small-24b", 12), ("small-4", 24)])
def test_what_was_measured_fits_and_few_questions_are_asked(kind: str, size: float, more: int) -> None:
    stand_in = StandIn(kind, lambda _: more * MIB, size)
    plan = settled(stand_in, size)
    assert plan.fits and plan.devices[0].compute_known == "measured"
    check_room(plan)
    assert 1 <= len(stand_in.asked) <= 6
    assert ModelOverrides(**plan.overrides).items() <= {  # what is loaded is what was measured
        name: getattr(stand_in.asked[-1], name) for name in plan.overrides
    }.items() or any(
        all(getattr(asked, name) == value for name, value in plan.overrides.items()) for asked in stand_in.asked
    )


def test_room_that_our_sums_did_not_see_is_used() -> None:
    def kept(more: int) -> int:
        """Weights and caches on the GPU."""
        use = settled(StandIn("medium-3.5", lambda _: more * MIB, 24), 24).devices[0]
        return use.weights + use.kv

    assert kept(-500) > kept(1500) + GIB


def test_each_gpu_has_its_own_correction() -> None:
    stand_in = StandIn("medium-3.5", lambda gpu: (0, 3000)[gpu] * MIB, 24, 24)
    plan = settled(stand_in, 24, 24)
    check_room(plan)
    first, second = (use.layers for use in plan.devices[:2])
    assert plan.fits and first > second + 2


def test_nothing_fits_when_it_is_measured() -> None:
    stand_in = StandIn("medium-3.5", lambda _: 40 * GIB, 24)
    plan = settled(stand_in, 24, context=16_384, gpu_layers=20)
    assert plan.verdict == "too large" and plan.missing > 0 and len(stand_in.asked) <= 6


@pytest.mark.parametrize("error", [CannotMeasure("another standard library"), OutOfMemory("none is left")])
def test_where_llama_cpp_cannot_be_asked_formulas_must_do(error: Exception) -> None:
    def refuse(settings: ModelSettings, engine: EngineSettings) -> Measured:
        raise error

    subject, machine = subject_of("small-24b"), replace(machine_of(24), here=True)
    plan = make_plan(subject, machine, Wishes(), refuse)
    assert plan == make_plan(subject, machine, Wishes(), None)
    assert "estimated" in " ".join(plan.why)


def test_what_no_load_would_take_is_said_at_once() -> None:
    def refuse(settings: ModelSettings, engine: EngineSettings) -> Measured:
        raise OptionError("--override-tensor: no buffer type is called 'CUDA7'.", "Use CPU.")

    with pytest.raises(OptionError, match="CUDA7"):
        make_plan(subject_of("small-24b"), replace(machine_of(24), here=True), Wishes(), refuse)


def test_another_machine_and_another_quant_are_not_measured() -> None:
    stand_in = StandIn("small-24b", lambda _: 0, 24)
    make_plan(stand_in._subject, machine_of(24), Wishes(), stand_in)
    make_plan(replace(stand_in._subject, scale=0.9), replace(machine_of(24), here=True), Wishes(), stand_in)
    assert not stand_in.asked
