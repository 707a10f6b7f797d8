"""Has a row's jobs done, in a process of its own, as far as they are not finished; and tells how it goes on"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from ggufrun.compare.run.child import ScoringProcess, Stopped, error_of
from ggufrun.compare.run.found import is_finished
from ggufrun.compare.run.jobs import Job
from ggufrun.compare.run.loading import load_settings
from ggufrun.compare.run.plan import Plan, RowPlan
from ggufrun.compare.run.progress import Tracker
from ggufrun.compare.run.took import keep_seconds, seconds_of
from ggufrun.compare.scoring.archive import write_json

_SAID: Final = {
    "load": "loading",
    "text": "scoring the text",
    "chat": "scoring answers",
    "write": "writing answers",
    "speed": "timing",
    "choices": "choosing answers",
    "needle": "looking for needles",
}
_LEAST: Final = 512  # tokens of context


class Measuring:
    """`errors`: by row, what went wrong in it. Its other jobs, and other rows, go on."""

    def __init__(self, plan: Plan, tracker: Tracker, is_stopped: Callable[[], bool]) -> None:
        self._plan, self._tracker, self._is_stopped = plan, tracker, is_stopped
        self.errors: dict[str, str] = {}

    def measure(self, row: RowPlan, jobs: Sequence[Job]) -> None:
        """Raises Stopped, and GgufrunError where the model does not load."""
        left = [job for job in jobs if not is_finished(job)]
        for job in jobs:
            if job not in left:
                self._tracker.skip((job.row, job.kind), seconds_of(job.out))
        if not left:
            self._tracker.skip((row.name, "load"))
            return
        if self._is_stopped():
            raise Stopped
        self._tracker.begin((row.name, "load"), _SAID["load"])
        with ScoringProcess(self._request(row, left), self._is_stopped) as process:
            seen = _Seen(left, self._tracker, self.errors)
            for event in process.events():
                seen.hear(event)

    def _request(self, row: RowPlan, jobs: Sequence[Job]) -> dict[str, Any]:
        least = max(_LEAST, *(job.context for job in jobs))
        settings = load_settings(row, self._plan.overrides, least, self._plan.aims.context)
        return {
            "model": asdict(settings),
            "kv_type": row.kv_type,
            "context": settings.context,
            "jobs": [job.request for job in jobs],
        }


class _Seen:
    """What a process said, and what follows from it."""

    def __init__(self, jobs: Sequence[Job], tracker: Tracker, errors: dict[str, str]) -> None:
        self._jobs, self._tracker, self._errors = jobs, tracker, errors
        self._load_s = 0.0

    def hear(self, event: Mapping[str, Any]) -> None:
        """Raises GgufrunError where the model did not load."""
        kind = event.get("event")
        if kind == "loaded":
            self._load_s = float(event["load_s"])
            self._tracker.finish((self._jobs[0].row, "load"))
            self._begin(0)
        elif kind == "progress":
            self._tracker.partly(event["done"] / max(1, event["of"]), self._said(event["job"]))
        elif kind == "done":
            seconds = float(event["seconds"])
            self._tracker.finish(self._item(event["job"]), seconds)
            keep_seconds(self._jobs[event["job"]].out, seconds)
            self._begin(event["job"] + 1)
        elif kind == "failed":
            self._fail(event)
        elif kind == "peak":
            self._keep_cost(int(event["bytes"]))

    def _keep_cost(self, peak: int) -> None:
        """At once: a stop behind the speeds, which it is kept with, loses nothing."""
        for job in self._jobs:
            if job.kind == "speed":
                write_json(job.makes[1], {"load_s": self._load_s, "peak": peak})

    def _fail(self, event: Mapping[str, Any]) -> None:
        error = error_of(event)
        if event.get("job") is None:
            raise error
        job = self._jobs[event["job"]]
        self._errors.setdefault(job.row, f"{_SAID[job.kind].capitalize()} failed: {error}")
        self._tracker.skip(self._item(event["job"]))
        self._begin(event["job"] + 1)

    def _begin(self, at: int) -> None:
        if at < len(self._jobs):
            self._tracker.begin(self._item(at), self._said(at))

    def _item(self, at: int) -> tuple[str, str]:
        return self._jobs[at].row, self._jobs[at].kind

    def _said(self, at: int) -> str:
        return _SAID[self._jobs[at].kind]
