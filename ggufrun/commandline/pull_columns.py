"""What stands beside a pull's bars, in one line however narrow the terminal is. When it changes is `pull_bars`'."""

from typing import Final

from rich.progress import BarColumn, DownloadColumn, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from ggufrun.figures import duration, gb

_FIGURES: Final = len("100%") + len("999.9/999.9 MB") + len("999.9 MB/s, 23 h 59 min") + len("    ")
_NAME, _BAR = 24, (6, 24)  # characters: what a long name keeps beside a bar; a bar's least and most


class _Now(ProgressColumn):
    """What happens to a file; while it is fetched how fast, and how long that will take."""

    def render(self, task: Task) -> Text:
        if state := task.fields["state"]:
            return Text(state)
        if task.finished or not task.speed:
            return Text("")
        left = f", {duration(task.time_remaining)}" if task.time_remaining is not None else ""
        return Text(f"{gb(task.speed)}/s{left}")


def columns(width: int) -> list[ProgressColumn]:
    """For a terminal of so many characters."""
    bar = _bar(width)
    return [
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        *([BarColumn(bar_width=bar)] if bar else []),
        TaskProgressColumn(table_column=Column(no_wrap=True)),
        DownloadColumn(table_column=Column(no_wrap=True)),
        _Now(table_column=Column(no_wrap=True)),
    ]


def shortened(name: str, width: int) -> str:
    """A name that leaves room for the other columns: its end tells the quant and the number, so the middle goes."""
    most = max(8, width - _FIGURES - _bar(width))
    if len(name) <= most:
        return name
    end = most * 2 // 3
    return f"{name[: most - end - 1]}…{name[len(name) - end :]}"


def _bar(width: int) -> int:
    """0: none."""
    bar = min(_BAR[1], width - _FIGURES - _NAME)
    return bar if bar >= _BAR[0] else 0
