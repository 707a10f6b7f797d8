"""A comparison from its plan to its report: one model after the other, each in a process of its own

The reference comes first: the others are measured against what is kept of it. What is finished is never measured again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Final

from ggufrun.compare.results import Report
from ggufrun.compare.run.cache import Cache
from ggufrun.compare.run.child import Stopped
from ggufrun.compare.run.chunks import Chunks
from ggufrun.compare.run.first_token import read_seconds, time_first_tokens
from ggufrun.compare.run.found import is_finished, read_part
from ggufrun.compare.run.jobs import Job, Jobs
from ggufrun.compare.run.loading import load_settings
from ggufrun.compare.run.measuring import Measuring
from ggufrun.compare.run.plan import Plan, RowPlan
from ggufrun.compare.run.prepared import prepare
from ggufrun.compare.run.progress import OnProgress, Progress, Tracker
from ggufrun.compare.run.reporting import Reporting
from ggufrun.compare.run.took import keep_seconds, seconds_of
from ggufrun.compare.run.tool_calls import CONTEXT, call_tools, read_outcomes
from ggufrun.compare.run.work import units
from ggufrun.compare.scoring.files import read_written
from ggufrun.errors import EngineError, GgufrunError
from ggufrun.settings import ModelSettings

_ANSWER: Final = 64  # tokens of context behind a prompt
_SAID: Final = {"first token": "timing first tokens", "tools": "calling tools"}


def compare(plan: Plan, *, on_progress: OnProgress, cancelled: Event) -> Report:
    """Blocks until all is measured, or `cancelled`: then the report is of what is finished.

    A model that does not load is a row that says why. Raises InputError where nothing can be compared, and what the
    reference's load raises if it was asked for by name.
    """
    while True:
        run = _Run(plan, on_progress, cancelled)
        try:
            run.measure()
        except _ReferenceFailed as failed:
            if not plan.chosen:
                raise failed.error from None
            plan = plan.without_reference(str(failed.error))
            continue
        return run.report()


class _ReferenceFailed(Exception):
    def __init__(self, error: GgufrunError) -> None:
        super().__init__(str(error))
        self.error = error


class _Run:
    def __init__(self, plan: Plan, on_progress: OnProgress, cancelled: Event) -> None:
        self._plan, self._on_progress = plan, on_progress
        on_progress(Progress(0.0, None, "reading the text", ""))
        self._prepared = prepare(plan)
        self._cache = Cache(plan.cache)
        self._jobs = Jobs(plan, self._cache, self._prepared.text, self._prepared.tokens, self._prepared.items)
        self._tracker = Tracker(units(plan, self._prepared), on_progress)
        self._is_stopped = cancelled.is_set
        self._measuring = Measuring(plan, self._tracker, self._is_stopped)
        self._chat: Chunks | None = None
        self._has_answers = True  # of the reference, until it turns out that it could not write
        self._stopped = False
        self._lost: set[str] = set()  # rows whose model did not load

    def measure(self) -> None:
        """All rows, until the end or a wish to stop. Raises _ReferenceFailed."""
        reference, again, noise, *others = self._plan.rows
        try:
            self._measure_reference(reference)
            # Another load of it, so that the test of the text is of two.
            self._measure(reference, [*self._chat_of(reference), *self._scoring(again), *self._scoring(noise)])
            if not all(map(is_finished, self._chat_of(reference))):
                self._chat = None  # nothing can be measured against it
            self._ask(reference)
            for row in others:
                if row.contender.error is None:
                    self._measure(row, [*self._scoring(row), *self._writing(row), *self._behind(row)])
                    self._ask(row)
        except Stopped:
            self._stopped = True
        self._cache.trim()

    def report(self) -> Report:
        self._on_progress(Progress(1.0, 0.0, "writing the report", ""))
        stopped, errors = self._stopped, self._measuring.errors
        return Reporting(self._plan, self._prepared, self._jobs, self._chat).report(errors, unfinished=stopped)

    def _measure_reference(self, row: RowPlan) -> None:
        text = self._jobs.text(row)
        try:
            self._measuring.measure(row, [*self._writing(row), text, *self._behind(row)])
        except GgufrunError as error:
            if not is_finished(text):
                raise _ReferenceFailed(error) from error
            self._lose(row, error)
        if not is_finished(text):
            raise _ReferenceFailed(EngineError(self._measuring.errors[row.name]))
        written = read_part(self._jobs.write(row).out, read_written) if self._prepared.tokens else None
        self._has_answers = written is not None
        self._chat = self._prepared.chat(written) if written is not None else None

    def _measure(self, row: RowPlan, jobs: Sequence[Job]) -> None:
        try:
            self._measuring.measure(row, jobs)
        except GgufrunError as error:
            self._lose(row, error)
            for job in jobs:
                self._tracker.skip_row(job.row)

    def _lose(self, row: RowPlan, error: GgufrunError) -> None:
        self._measuring.errors[row.name] = str(error)
        self._lost.add(row.name)

    def _ask(self, row: RowPlan) -> None:
        """What needs a chat model. Nothing of it is measured where the model did not load."""
        if row.name in self._lost:
            self._tracker.skip_row(row.name)
            return
        first, prompts = self._jobs.first_token(row), self._prepared.prompts
        if prompts:
            self._asked(
                row,
                "first token",
                self._jobs.longest + _ANSWER,
                {first: read_seconds},
                lambda settings: time_first_tokens(settings, prompts, first, self._is_stopped),
            )
        if items := self._prepared.items.tools:
            outs = [(forced, self._jobs.tools(row, forced=forced)) for forced in (False, True)]
            left = [(forced, out) for forced, out in outs if read_part(out, read_outcomes) is None]
            self._asked(
                row,
                "tools",
                CONTEXT,
                {out: read_outcomes for _, out in outs},
                lambda settings: call_tools(settings, items, left, self._told, self._is_stopped),
            )

    def _asked(
        self,
        row: RowPlan,
        kind: str,
        context: int,
        makes: Mapping[Path, Callable[[Path], object]],
        work: Callable[[ModelSettings], None],
    ) -> None:
        """`makes`: parts, and what reads each."""
        item, first = (row.name, kind), next(iter(makes))
        if any(read_part(out, read) is None for out, read in makes.items()):
            self._tracker.begin(item, _SAID[kind])
            began = time.monotonic()
            try:
                work(load_settings(row, self._plan.overrides, context, self._plan.aims.context))
            except GgufrunError as error:
                self._measuring.errors.setdefault(row.name, f"{_SAID[kind].capitalize()} failed: {error}")
            else:
                keep_seconds(first, time.monotonic() - began)
            self._tracker.finish(item)
        self._tracker.skip(item, seconds_of(first))

    def _told(self, done: int, of: int) -> None:
        self._tracker.partly(done / max(1, of), _SAID["tools"])

    def _scoring(self, row: RowPlan) -> list[Job]:
        return [self._jobs.text(row), *self._chat_of(row)]

    def _chat_of(self, row: RowPlan) -> list[Job]:
        return [self._jobs.chat(row, self._chat)] if self._chat is not None else []

    def _behind(self, row: RowPlan) -> list[Job]:
        return [*self._jobs.tasks(row), self._jobs.speed(row)]

    def _writing(self, row: RowPlan) -> list[Job]:
        return [self._jobs.write(row)] if self._prepared.tokens and self._has_answers else []
