"""The page's smaller tables: by part of the text, the tasks, and how sure the differences are"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ggufrun.compare.report.columns import Cell
from ggufrun.compare.report.ties import compared
from ggufrun.compare.report.words import interval
from ggufrun.compare.results import Pair, Report, Role, TaskResult
from ggufrun.figures import nats, percent

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Grid(Generic[Entry]):
    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]


@dataclass(frozen=True, slots=True)
class TaskLine:
    row: str
    name: str
    right: str
    interval: str
    items: int
    too_few: bool
    gained: str
    lost: str
    p: str
    more: tuple[str, ...]


def parts_table(report: Report) -> Grid[Cell | None] | None:
    """Mean KL divergence; None where the text has one part."""
    rows = [(row.name, row.ppl) for row in compared(report.rows) if row.ppl and row.role is Role.QUANT]
    names = tuple(name for name in report.texts if any(name in quality.parts for _, quality in rows))
    if len(names) < 2:
        return None

    def cells(parts: dict[str, Cell]) -> tuple[Cell | None, ...]:
        return tuple(parts.get(name) for name in names)

    found = []
    for name, quality in rows:
        figures = quality.parts.items()
        parts = {part: Cell(nats(each.value), each.value, interval(each, nats)) for part, each in figures}
        found.append((name, cells(parts)))
    return Grid(names, tuple(found))


def pairs_table(report: Report) -> Grid[str] | None:
    """P(row closer than column), of ppl mode or else of chat mode."""
    found = report.pairs or report.pairs_chat
    paired = {name for pair in found for name in (pair.a, pair.b)}
    names = tuple(row.name for row in compared(report.rows) if row.name in paired and row.name != report.reference)
    if len(names) < 2:
        return None
    return Grid(names, tuple((a, tuple(_sure(a, b, found) for b in names)) for a in names))


def task_lines(report: Report) -> tuple[TaskLine, ...]:
    """By task, then by row."""
    lines = [(row.name, task) for row in report.rows for task in row.tasks]
    names = dict.fromkeys(task.name for _, task in lines)
    return tuple(_line(row, task) for name in names for row, task in lines if task.name == name)


def _sure(a: str, b: str, pairs: Sequence[Pair]) -> str:
    for pair in pairs:
        if {pair.a, pair.b} != {a, b} or a == b:
            continue
        p = pair.p_a_better
        if p is None:
            return "≈" if pair.is_tied else "–"
        words = _chance(p if pair.a == a else 1 - p)
        return f"{words} ≈" if pair.is_tied else words
    return ""


def _chance(p: float) -> str:
    """None of the draws is not never."""
    if p < 0.01:
        return "< 1 %"
    return "> 99 %" if p > 0.99 else f"{p:.0%}".replace("%", " %")


def _line(row: str, task: TaskResult) -> TaskLine:
    flips = task.p_mcnemar is not None
    return TaskLine(
        row=row,
        name=task.name,
        right=percent(task.accuracy.value),
        interval=interval(task.accuracy, percent),
        items=task.items,
        too_few=task.too_few,
        gained=f"+{task.gained}" if flips else "",
        lost=f"−{task.lost}" if flips else "",
        p=f"{task.p_mcnemar:.2g}" if task.p_mcnemar is not None else "",
        more=tuple(_more(task)),
    )


def _more(task: TaskResult) -> Iterator[str]:
    for name, share in task.more.items():
        yield f"{name.replace('_', ' ')} {percent(share)}"
