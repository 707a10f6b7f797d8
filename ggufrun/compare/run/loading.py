"""How a row's model is loaded: plainly on a processor; with a GPU as the planner of `ggufrun fit` places it"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ggufrun.compare.run.plan import RowPlan
from ggufrun.errors import CannotMeasure, OptionError, OutOfMemory
from ggufrun.fit.machine import machine_here
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.llama import library
from ggufrun.llama.hardware import available_memory
from ggufrun.opening.planning import kv_bytes
from ggufrun.settings import ModelOverrides, ModelSettings

_ROOMY: Final = 0.6  # of the free RAM, for what no formula here knows of


def load_settings(row: RowPlan, overrides: ModelOverrides, least: int, wanted: int | None = None) -> ModelSettings:
    """With the context that the row is planned for (`wanted`; None: as a server would have it), so that what it takes
    can be compared with the plan; where there is no room for that, with the tokens that are needed (`least`).

    Raises OptionError. What does not fit even so is tried all the same: the load says so.
    """
    found = row.contender.found
    if found is None:
        return ModelSettings(row.contender.path, context=least)
    subject = Subject(found.path, found.headers(), found.name, found.card)
    context = max(least, wanted or subject.context)
    if library.supports_gpu():
        placed = _placed(subject, row, overrides, (context, least))
        if placed is not None:
            return placed
    needed = found.size + kv_bytes(found.header, context, row.kv_type)
    if needed > _ROOMY * available_memory():
        context = least
    return _settings(row, overrides, context)


def _placed(subject: Subject, row: RowPlan, overrides: ModelOverrides, contexts: Sequence[int]) -> ModelSettings | None:
    """With the first context that fits; None where none does, or nobody can say."""
    with Probe() as probe:
        try:
            machine = machine_here(probe.devices())
            for context in contexts:
                wishes = Wishes(ModelOverrides(**{**overrides, "context": context, "kv_type": row.kv_type}))
                plan = make_plan(subject, machine, wishes, probe)
                if plan.fits:
                    return replace(_settings(row, overrides, context), **plan.overrides)
        except (CannotMeasure, OutOfMemory, OptionError):
            return None
    return None


def _settings(row: RowPlan, overrides: ModelOverrides, context: int) -> ModelSettings:
    given = ModelOverrides(**{**overrides, "context": context, "kv_type": row.kv_type})
    return ModelSettings(row.contender.path, **given)
