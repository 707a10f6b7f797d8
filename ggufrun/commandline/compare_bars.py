"""How far a comparison is, on standard error: a bar with the time left on a terminal, else a line now and then"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ggufrun.commandline.table import printable
from ggufrun.compare.run.progress import Progress
from ggufrun.figures import duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_LINE_S: Final = 15.0  # between two lines about one row


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """What is to be told of each step."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    left = TextColumn("{task.fields[left]}", markup=False)
    what = TextColumn("{task.description}", markup=False)
    share = TextColumn("{task.percentage:>3.0f} %", markup=False)
    with RichProgress(what, BarColumn(None), share, TimeElapsedColumn(), left, console=Console(stderr=True)) as bars:
        yield _Bar(bars)


class _Bar:
    def __init__(self, bars: "RichProgress") -> None:
        self._bars = bars
        self._task = bars.add_task("", total=1.0, left="")

    def __call__(self, progress: Progress) -> None:
        self._bars.update(self._task, completed=progress.done, description=_said(progress), left=_left(progress))


class _Lines:
    def __init__(self) -> None:
        self._row, self._due = "", 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.row == self._row and now < self._due:
            return
        self._row, self._due = progress.row, now + _LINE_S
        left = _left(progress)
        print(f"{progress.done:4.0%} {_said(progress)}{f', {left}' if left else ''}", file=sys.stderr, flush=True)


def _said(progress: Progress) -> str:
    return printable(f"{progress.row}: {progress.doing}" if progress.row else progress.doing)


def _left(progress: Progress) -> str:
    return f"about {duration(progress.left_s)} left" if progress.left_s else ""
