"""How far a pull is, on standard error: a bar for each file and one for all on a terminal, else a line now and then."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ggufrun.commandline.table import printable
from ggufrun.figures import duration, gb, gb_of
from ggufrun.hub.pull import OnProgress, Progress, PullPlan

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_LINE_S: Final = 10.0  # between two lines
_MANY: Final = 6  # bars
_STATES: Final = {"waiting": "another process fetches it", "fetching": "", "checking": "checking", "here": "done"}
_SHORT: Final = {"waiting": "another fetches it"}  # beside a bar


@contextmanager
def shown(plan: PullPlan) -> Iterator[OnProgress]:
    """What is to be told of each step, from any thread."""
    if not sys.stderr.isatty():
        yield _Lines(plan)
        return
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    from ggufrun.commandline.pull_columns import columns

    console = Console(stderr=True)
    with RichProgress(*columns(console.width), console=console) as bars:
        yield _Bars(plan, bars)


class _Bars:
    def __init__(self, plan: PullPlan, bars: "RichProgress") -> None:
        from ggufrun.commandline.pull_columns import shortened

        width = bars.console.width
        self._bars, self._lock = bars, threading.Lock()
        self._done = {each.file.path: each.done for each in plan.files}
        self._states = {each.file.path: "" for each in plan.files}
        self._tasks = {
            each.file.path: bars.add_task(
                shortened(printable(each.file.name), width),
                total=each.file.size,
                completed=each.done,
                state="",
                visible=False,
            )
            for each in plan.files
        }
        come, several = plan.size - plan.coming, len(plan.files) > 1
        self._all = bars.add_task("all", total=plan.size, completed=come, state="") if several else None

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            task = self._tasks[progress.file]
            if self._states[progress.file] != progress.state:
                self._states[progress.file] = progress.state
                shown = progress.state != "here" or len(self._tasks) <= _MANY  # the last line has to stay in sight
                self._bars.reset(
                    task,
                    completed=progress.done,
                    visible=shown,
                    state=_SHORT.get(progress.state, _STATES[progress.state]),
                )
            else:
                self._bars.update(task, completed=progress.done)
            if progress.state != "checking":
                self._done[progress.file] = progress.done
                if self._all is not None:
                    self._bars.update(self._all, completed=sum(self._done.values()))


class _Lines:
    def __init__(self, plan: PullPlan) -> None:
        self._lock = threading.Lock()
        self._done = {each.file.path: each.done for each in plan.files}
        self._size = plan.size
        self._state, self._due = "", time.monotonic() + _LINE_S
        self._began, self._came = time.monotonic(), plan.size - plan.coming

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            now = time.monotonic()
            if progress.state == "here" and self._done[progress.file] == progress.size and not self._state:
                return  # it was here before
            if progress.state != "checking":
                self._done[progress.file] = progress.done
            state = f"{progress.file} {progress.state}"
            if state == self._state and now < self._due:
                return
            if state != self._state and progress.state == "fetching":
                self._state = state  # a line of it comes when there is something to say
                return
            self._state, self._due = state, now + _LINE_S
            print(self._line(progress, now), file=sys.stderr, flush=True)

    def _line(self, progress: Progress, now: float) -> str:
        name = printable(progress.file)
        if progress.state != "fetching":
            return f"{name}: {_STATES[progress.state]}"
        done = sum(self._done.values())
        rate = (done - self._came) / max(now - self._began, 0.001)
        left = f", about {duration((self._size - done) / rate)} to go" if rate > 0 else ""
        return f"{name}: {gb_of(done, self._size)} ({done / self._size:.0%}), {gb(rate)}/s{left}"
