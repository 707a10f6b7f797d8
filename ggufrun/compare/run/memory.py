"""What a row takes of memory, by the planner of `ggufrun fit`, and for how much context there is room"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ggufrun.compare.run.plan import Aims, RowPlan
from ggufrun.errors import CannotMeasure, GgufrunError, OutOfMemory
from ggufrun.fit.machine import Machine, described_machine, machine_here
from ggufrun.fit.measured import Measure
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.settings import ModelOverrides

_STEP: Final = 256  # tokens: contexts are made of so many


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes and tokens. `left` is negative where it does not fit."""

    planned: int
    fits_context: int
    left: int


class Needs:
    """Plans rows for one machine: this one, or that of --gpu and --ram."""

    def __init__(self, machine: Machine, measure: Measure | None, aims: Aims) -> None:
        self._machine, self._measure, self._aims = machine, measure, aims

    def of(self, row: RowPlan) -> Need | None:
        """None for a model that cannot be planned."""
        found = row.contender.found
        if found is None:
            return None
        try:
            subject = Subject(found.path, found.headers(), found.name, found.card)
            plan = self._plan(subject, row, self._aims.context or subject.context, self._measure)
            most = self._most(subject, row)
        except GgufrunError:
            return None
        return Need(sum(use.needed for use in plan.devices), most, _left(plan))

    def _plan(self, subject: Subject, row: RowPlan, context: int, measure: Measure | None) -> Plan:
        pinned = ModelOverrides(context=context, kv_type=row.kv_type)
        return make_plan(subject, self._machine, Wishes(pinned), measure)

    def _most(self, subject: Subject, row: RowPlan) -> int:
        """By formulas, since many contexts are tried. Wholly on the GPU, where that has room for any."""
        trained = subject.headers[0].context_train or self._aims.context or subject.context

        def plan(context: int) -> Plan:
            return self._plan(subject, row, context, None)

        def whole(context: int) -> bool:
            return plan(context).verdict == "fits"

        return _largest(trained, whole) or _largest(trained, lambda context: plan(context).fits)


def check_aims(aims: Aims) -> None:
    """Raises OptionError for a --gpu or --ram that cannot be: before hours of measuring, not behind them."""
    described_machine(aims.gpu, aims.ram, machine_here(()))


def needs_of(aims: Aims, probe: Probe) -> Needs:
    """Raises OptionError for a --gpu or --ram that cannot be."""
    try:
        here, measure = machine_here(probe.devices()), probe
    except (CannotMeasure, OutOfMemory):
        return Needs(described_machine(aims.gpu, aims.ram, machine_here(())), None, aims)
    machine = described_machine(aims.gpu, aims.ram, here)
    return Needs(machine, measure if machine.here else None, aims)


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The most tokens that fit, to the step; 0 where not even one step does."""
    if fits(most):
        return most
    low, high = 0, most // _STEP  # of steps: `low` fits, `high` does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * _STEP) else (low, middle)
    return low * _STEP


def _left(plan: Plan) -> int:
    """Of the devices that the plan uses, beside what it leaves to others."""
    if not plan.fits:
        return -plan.missing
    used = [use for use in plan.devices if use.needed]
    gpus = [use for use in used if use.name != "RAM"] if plan.verdict == "fits" else []
    return sum(use.free - use.margin - use.needed - use.shared for use in gpus or used)
