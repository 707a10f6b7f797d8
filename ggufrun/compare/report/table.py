"""The tables for a terminal, by rich: as many columns as have room, the most important ones first; then the tasks"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ggufrun.compare.report.checks import SELF_TEST_PASSED, passed, warnings
from ggufrun.compare.report.columns import COLUMNS
from ggufrun.compare.report.ties import ties
from ggufrun.compare.report.words import band, noise_words, printable, shortened
from ggufrun.compare.results import Report, Role, Row, TaskResult

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

NARROWEST: Final = 40
_GAP: Final = 2
_MISSING: Final = "–"
_FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column with its cells, one for each row."""

    title: str
    importance: float
    cells: tuple[str, ...]
    to_the_right: bool = True

    @property
    def width(self) -> int:
        return max(map(len, (self.title, *self.cells))) + _GAP


def terminal_table(report: Report, width: int) -> "RenderableType":
    """For a terminal of so many characters. Nothing in names is obeyed."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = [Text(printable(report.title), "bold"), Text()]
    if report.rows:
        lines += [_table(report, max(width, NARROWEST)), Text()]
    if any(row.tasks for row in report.rows):
        lines += [_tasks(report), Text()]
    lines += [Text(printable(line), style) for line, style in _below(report)]
    return Group(*lines)


def _table(report: Report, width: int) -> "Table":
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    names = [printable(row.name) for row in report.rows]
    name_width = min(max(map(cell_len, names)), max(16, width // 3))
    shown = _that_fit(_columns(report), width - name_width - _GAP)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    table.add_column("", width=name_width, no_wrap=True, overflow="ellipsis")
    for column in shown:
        table.add_column(column.title, justify="right" if column.to_the_right else "left", no_wrap=True)
    best = report.recommendation.name if report.recommendation else None
    for number, row in enumerate(report.rows):
        cells = (Text(column.cells[number]) for column in shown)
        table.add_row(Text(shortened(names[number], name_width)), *cells, style=_style(row, row.name == best))
    return table


def _style(row: Row, recommended: bool) -> str:
    if row.error:
        return "red"
    if recommended:
        return "bold green"
    return "dim" if row.role in (Role.SELF, Role.NOISE) else ""


def _columns(report: Report) -> Iterator[_Shown]:
    """In the order in which they stand; those that no row has anything for are left out."""
    for column in COLUMNS:
        cells = [None if row.error and column.key != "size" else column.cell(row) for row in report.rows]
        if not any(cells):
            continue
        texts = [cell.text if cell else _MISSING for cell in cells]
        if column.key == "kld_mean":
            texts = [_FAILED if row.error else text for row, text in zip(report.rows, texts, strict=True)]
        yield _Shown(column.title, column.importance, tuple(texts))
        if column.key == "kld_mean":
            yield from _beside_kld(report, [cell.interval if cell else "" for cell in cells])


def _beside_kld(report: Report, intervals: Sequence[str]) -> Iterator[_Shown]:
    if any(intervals):
        yield _Shown("95 % interval", 3.5, tuple(intervals))
    tied = [ties(row, report) for row in report.rows]
    if any(tied):
        words = tuple(printable(f"≈ {', '.join(names)}") if names else "" for names in tied)
        marks = tuple("≈" if names else "" for names in tied)
        yield _Shown("tied with", 5.5, words, to_the_right=False)
        yield _Shown("", 1.5, marks, to_the_right=False)  # where the names have no room
    verdicts = tuple(band(row.ppl.kld_mean.value) if _has_verdict(row) and row.ppl else "" for row in report.rows)
    if any(verdicts):
        yield _Shown("by convention", 6, verdicts, to_the_right=False)


def _has_verdict(row: Row) -> bool:
    return row.role is Role.QUANT and not row.error


def _tasks(report: Report) -> "Table":
    """Each task: the share that is right, its interval, and how many flipped against the reference."""
    from rich.table import Table
    from rich.text import Text

    rows = [row for row in report.rows if row.tasks]
    counts: dict[str, list[TaskResult]] = {}
    for task in (task for row in rows for task in row.tasks):
        counts.setdefault(task.name, []).append(task)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    table.add_column("right", no_wrap=True, overflow="ellipsis")
    for name, found in counts.items():
        items = f"{max(task.items for task in found)}{', too few' if any(task.too_few for task in found) else ''}"
        table.add_column(printable(f"{name} ({items})"), justify="right")
    for row in rows:
        cells = {task.name: _right(task) for task in row.tasks}
        table.add_row(Text(printable(row.name)), *(Text(cells.get(name, _MISSING)) for name in counts))
    return table


def _right(task: TaskResult) -> str:
    share, lo, hi = task.accuracy.value, task.accuracy.lo or 0.0, 1.0 if task.accuracy.hi is None else task.accuracy.hi
    flips = f" +{task.gained} −{task.lost}" if task.p_mcnemar is not None else ""
    return f"{share:.0%} ({lo * 100:.0f}–{hi * 100:.0f}){flips}"


def _that_fit(columns: Iterator[_Shown], width: int) -> list[_Shown]:
    """The most important ones that have room together, in their order. One that is too wide lets smaller ones pass."""
    found = list(columns)
    kept: list[_Shown] = []
    for column in sorted(found, key=lambda each: each.importance):
        if column.width <= width + _GAP:  # the last one needs no gap
            kept.append(column)
            width -= column.width
    if any(column.title == "tied with" for column in kept):
        kept = [column for column in kept if column.title]
    return [column for column in found if column in kept]


def _below(report: Report) -> Iterator[tuple[str, str]]:
    """Lines and their styles."""
    for row in report.rows:
        if row.error:
            yield f"{row.name}: {row.error}", "red"
    for warning in warnings(report):
        yield warning, "red"
    if report.unfinished:
        yield "Stopped before its end: rows may lack parts. The same command goes on from here.", "yellow"
    if report.noise is not None:
        yield noise_words(report.noise), "dim"
    if any(pair.is_tied for pair in report.pairs):
        yield "≈: tied, they cannot be told apart on this text.", "dim"
    if passed(report):
        yield SELF_TEST_PASSED, "dim"
    for note in report.notes:
        yield note, "dim"
    if report.recommendation:
        yield "", ""
        yield report.recommendation.sentence, "bold"
