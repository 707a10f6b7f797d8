"""What each knob would buy: the plan made again with that knob turned, and the difference in words."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, cast

from ggufrun.figures import gib, speed
from ggufrun.fit.plan import Gain, Plan
from ggufrun.fit.shape import Shape
from ggufrun.fit.subject import Subject
from ggufrun.fit.task import Task
from ggufrun.settings import ModelOverrides

_SMALLER: Final = 0.82  # the next smaller quant's weights: from Q4_K_M to Q3_K_M, say
_WORTH: Final = 1.03  # less is not worth a line

Make = Callable[[Subject, Task], Plan]


def gains_of(subject: Subject, task: Task, plan: Plan, make: Make) -> tuple[Gain, ...]:
    """`make` plans by formulas: here only differences count."""
    rows = []
    for knob, turned in _turned(task, plan):
        other = make(subject, turned)
        if effect := _effect(plan, other, task):
            rows.append(Gain(knob, effect))
    return tuple(rows)


def _turned(task: Task, plan: Plan) -> Iterator[tuple[str, Task]]:
    if plan.kv_type == "f16" and "q8_0" in replace(task, pinned=_without(task, "kv_type")).kv_types:
        yield "--kv-type q8_0", replace(task, pinned=_pinned(task, kv_type="q8_0"))
    half = plan.context // 2
    if half >= 2048:
        yield f"--context {half}", replace(task, pinned=_pinned(task, context=half))
    if task.projector:
        yield "--mmproj none", replace(task, projector=0, pictures=0)
    if task.engine.parallel > 1 and (task.shape.recurrent or any(kept.windowed for kept in task.shape.kept)):
        fewer = replace(task.engine, parallel=1)
        yield "--parallel 1", replace(task, engine=fewer)
    if plan.verdict != "fits" or plan.context < task.default_context:
        yield "a smaller quant", replace(task, shape=_lighter(task.shape), exact=False)


def _pinned(task: Task, **knobs: object) -> ModelOverrides:
    return cast(ModelOverrides, {**task.pinned, **knobs})


def _without(task: Task, name: str) -> ModelOverrides:
    return cast(ModelOverrides, {key: value for key, value in task.pinned.items() if key != name})


def _lighter(shape: Shape) -> Shape:
    return replace(
        shape,
        weights=tuple(
            replace(weight, ram=int(weight.ram * _SMALLER), gpu=int(weight.gpu * _SMALLER), read=weight.read * _SMALLER)
            for weight in shape.weights
        ),
    )


def _effect(plan: Plan, other: Plan, task: Task) -> str:
    """In plain words; "" where it buys nothing."""
    if not other.fits:
        return ""
    if not plan.fits:
        return f"makes it fit, at {_rate(other)}"
    parts = []
    if other.verdict == "fits" and plan.verdict == "offload":
        parts.append("all of it on the GPU")
    elif other.gpu_layers > plan.gpu_layers:
        parts.append(f"{other.gpu_layers} of {other.layers} layers on the GPU instead of {plan.gpu_layers}")
    if other.context > plan.context:
        parts.append(f"{other.context:,} tokens of context instead of {plan.context:,}")
    ours, theirs = plan.predicted_tok_s or 0.0, other.predicted_tok_s or 0.0
    if theirs > ours * _WORTH:
        parts.append(f"{_rate(other)} instead of {speed(ours)}")
    saved = sum(use.needed for use in plan.devices) - sum(use.needed for use in other.devices)
    if not parts and saved > sum(use.needed for use in plan.devices) * (_WORTH - 1):
        parts.append(f"{gib(saved)} less memory")
    return ", ".join(parts)


def _rate(plan: Plan) -> str:
    return f"{speed(plan.predicted_tok_s or 0.0)} tok/s"
