"""How a row did in the tasks, beside the reference: from the finished parts to lines of the report"""

from collections.abc import Callable, Iterator
from pathlib import Path

from ggufrun.compare.results import TaskResult
from ggufrun.compare.run.found import read_part
from ggufrun.compare.run.greedy import text_of
from ggufrun.compare.run.jobs import Jobs
from ggufrun.compare.run.plan import RowPlan
from ggufrun.compare.run.task_items import TaskItems
from ggufrun.compare.run.tool_calls import read_outcomes
from ggufrun.compare.scoring.files import read_logp, read_written
from ggufrun.compare.statistics.outcomes import task_result
from ggufrun.compare.tasks import multiple_choice, needle
from ggufrun.compare.tasks.outcomes import Outcome, paired, passed
from ggufrun.engine.vocabulary import Vocabulary

Outcomes = Callable[[RowPlan], list[Outcome] | None]


class TaskResults:
    """Of one comparison; `reference` is the row that the others are paired with."""

    def __init__(self, jobs: Jobs, items: TaskItems, vocabulary: Vocabulary, reference: RowPlan) -> None:
        self._jobs, self._items, self._vocabulary, self._reference = jobs, items, vocabulary, reference

    def of(self, row: RowPlan) -> tuple[TaskResult, ...]:
        return tuple(self._results(row))

    def notes(self) -> Iterator[str]:
        """What no row says."""
        found = self._needle(self._reference) if self._items.needles else None
        if found is not None and not passed(found):
            right = sum(outcome.right for outcome in found)
            yield (
                f"The task needle says nothing: the reference found {right} of {len(found)} codes, "
                "and at no length and depth half of them."
            )

    def _results(self, row: RowPlan) -> Iterator[TaskResult]:
        for name, outcomes in self._tasks():
            mine, theirs = outcomes(row), outcomes(self._reference)
            if mine is None or theirs is None:
                continue
            against = None if row.name == self._reference.name else theirs
            pair = paired(mine, against, groups=passed(theirs) if name == "needle" else None)
            if pair.outcomes:
                yield task_result(name, pair.outcomes, pair.reference, pair.shares)

    def _tasks(self) -> Iterator[tuple[str, Outcomes]]:
        if self._items.tools:
            yield "tools-free", lambda row: _tools(self._jobs.tools(row, forced=False))
            yield "tools-forced", lambda row: _tools(self._jobs.tools(row, forced=True))
        if self._items.choices.questions:
            yield "choices", self._choices
        if self._items.needles:
            yield "needle", self._needle

    def _choices(self, row: RowPlan) -> list[Outcome] | None:
        logp = read_part(self._jobs.choices(row).out, read_logp)
        return None if logp is None else multiple_choice.outcomes(self._items.choices, logp)

    def _needle(self, row: RowPlan) -> list[Outcome] | None:
        written = read_part(self._jobs.needles(row).out, read_written)
        if written is None:
            return None
        return needle.outcomes(self._items.needles, [text_of(each, self._vocabulary) for each in written.answers()])


def _tools(path: Path) -> list[Outcome] | None:
    return read_part(path, read_outcomes)
