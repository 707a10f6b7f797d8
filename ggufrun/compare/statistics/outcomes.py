"""A task's outcomes, item by item, as its line of the report. What the items are, and what is right, is `tasks`'"""

from collections.abc import Mapping, Sequence
from typing import Final

from ggufrun.compare.results import TaskResult
from ggufrun.compare.statistics.mcnemar import mcnemar
from ggufrun.compare.statistics.proportions import wilson

LEAST_ITEMS: Final = 200  # with fewer, a difference of a few percent is chance


def task_result(
    name: str, outcomes: Sequence[bool], reference: Sequence[bool] | None, more: Mapping[str, float] | None = None
) -> TaskResult:
    """`outcomes`: which items were right. `reference`: the same items, of the reference; None: this is it."""
    against = outcomes if reference is None else reference
    flips = [(was, now) for was, now in zip(against, outcomes, strict=True) if was != now]
    gained = sum(now for _, now in flips)
    lost = len(flips) - gained
    return TaskResult(
        name=name,
        items=len(outcomes),
        right=sum(outcomes),
        accuracy=wilson(sum(outcomes), len(outcomes)),
        gained=gained,
        lost=lost,
        p_mcnemar=None if reference is None else mcnemar(gained, lost),
        too_few=len(outcomes) < LEAST_ITEMS,
        more=dict(more or {}),
    )
