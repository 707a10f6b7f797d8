"""Chooses context, KV type and batch: what a search is asked for, and which of its answers is taken."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from ggufrun.fit.layout import Layout
from ggufrun.fit.search import Found, Search
from ggufrun.fit.task import Task
from ggufrun.settings import KvType

LEAST_WHOLE: Final = 8192  # tokens: with less, all on the GPU is not worth it where weights can be in RAM
LEAST: Final = 4096  # tokens: less is not tried
_STEP: Final = 1024  # tokens; a context is a multiple of it
_SMALL_BATCH: Final = 128  # prompts are slower with it, and compute buffers a quarter
_WORTH_CONTEXT: Final = 1.5  # q8_0 is taken where the context becomes so many times as long,
_WORTH_SPEED: Final = 1.1  # or answers so many times as fast

Reason = Literal["default", "pinned", "longest", "q8_0 longer", "q8_0 faster", "small batch", "shrunk", "nothing"]


@dataclass(frozen=True, slots=True)
class Choice:
    """`other` is the next best way that was not taken, for words about it."""

    found: Found
    reason: Reason
    batch: int
    other: Found | None = None


def choose(task: Task) -> Choice:
    """The best way that fits, or the one that needs least."""
    search = Search(task)
    choice = _whole(task, search) or _small_batch(task) or _offloaded(task, search)
    if choice is not None:
        return choice
    if task.kept and (slow := choose(replace(task, kept=()))).found.fits:
        return slow  # RAM has no room for what should be there
    size = task.size(task.pinned_context or min(LEAST, task.wanted_context), task.kv_types[-1])
    found = search.layers_in_ram(size)
    return Choice(replace(found, fits=False), "nothing", task.engine.batch)


def _whole(task: Task, search: Search) -> Choice | None:
    """All on GPUs, or in RAM where there are none: with the longest context up to the default.

    With a part pinned to GPUs, or kept in RAM, nothing can be whole, and nothing is given up for it.
    """
    if task.pins_a_part or task.kept:
        return None
    batch, wanted = task.engine.batch, task.wanted_context
    least = task.pinned_context or min(LEAST if task.on_cpu else LEAST_WHOLE, wanted)
    longest = {kv_type: found for kv_type in task.kv_types if (found := _longest(task, search, kv_type, least))}
    if not longest:
        return None
    best = longest.get(task.kv_types[0])
    if best is not None and best.layout.size.context >= wanted:
        return Choice(best, "pinned" if task.pinned_context else "default", batch)
    smaller = longest.get(task.kv_types[-1])
    if smaller is not None and (
        best is None or smaller.layout.size.context >= _WORTH_CONTEXT * best.layout.size.context
    ):
        return Choice(smaller, "q8_0 longer", batch, best)
    return Choice(best, "longest", batch, smaller) if best is not None else None


def _longest(task: Task, search: Search, kv_type: KvType, least: int) -> Found | None:
    wanted = task.wanted_context
    best = search.whole(task.size(wanted, kv_type))
    if best is not None or task.pinned_context is not None:
        return best
    best = search.whole(task.size(least, kv_type))
    low, high = least // _STEP, wanted // _STEP
    while best is not None and low < high - 1:
        middle = (low + high) // 2
        found = search.whole(task.size(middle * _STEP, kv_type))
        if found is None:
            high = middle
        else:
            best, low = found, middle
    return best


def _small_batch(task: Task) -> Choice | None:
    """A batch that somebody chose stays."""
    if task.on_cpu or task.engine.batch != type(task.engine)().batch:
        return None
    smaller = replace(task, engine=replace(task.engine, batch=_SMALL_BATCH))
    choice = _whole(smaller, Search(smaller))
    return None if choice is None else replace(choice, reason="small batch")


def _offloaded(task: Task, search: Search) -> Choice | None:
    """Partly in RAM: the context is the default, shorter only where even RAM is too small for it."""
    if task.on_cpu:
        return None
    context, wanted = task.wanted_context, task.wanted_context
    while True:
        ways = [(kv_type, search.fastest(task.size(context, kv_type))) for kv_type in task.kv_types]
        found = [(kv_type, way) for kv_type, way in ways if way is not None]
        if found:
            return _faster(task, found, shrunk=context < wanted)
        if task.pinned_context is not None or context // 2 < min(LEAST, wanted):
            return None
        context //= 2


def _faster(task: Task, found: list[tuple[KvType, Found]], *, shrunk: bool) -> Choice:
    best = found[0][1]
    kv_type, last = found[-1]
    batch = task.engine.batch
    if last is not best and last.tok_s >= _WORTH_SPEED * best.tok_s:
        return Choice(last, "q8_0 faster", batch, best)
    if shrunk:
        return Choice(best, "shrunk", batch)
    if kv_type == "q8_0" and len(task.kv_types) > 1 and last is best:
        return Choice(best, "q8_0 longer", batch)  # with f16 there is no room at all
    return Choice(best, "pinned" if task.pinned_context else "default", batch)


def override_texts(layout: Layout, task: Task) -> tuple[str, ...]:
    """What --override-tensor would be: pinned ones, or ours."""
    return task.pinned.get("override_tensors", ()) or layout.overrides(task.shape.layers)
