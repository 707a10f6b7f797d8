"""The rows of the page's table: cells, and the tags beside a name that say what a row is"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ggufrun.compare.report.columns import Cell, Column
from ggufrun.compare.report.ties import ties
from ggufrun.compare.report.words import band
from ggufrun.compare.results import Report, Role, Row

_ROLES: Final = {Role.REFERENCE: "reference", Role.SELF: "self-test", Role.NOISE: "noise"}


@dataclass(frozen=True, slots=True)
class Tag:
    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """`style`: a class of the style sheet. A row with an `error` has the first cells only."""

    name: str
    file: str
    style: str
    tags: tuple[Tag, ...]
    cells: tuple[Cell | None, ...]
    error: str | None


def table_rows(report: Report, columns: Sequence[Column]) -> tuple[TableRow, ...]:
    return tuple(_row(row, report, columns) for row in report.rows)


def _row(row: Row, report: Report, columns: Sequence[Column]) -> TableRow:
    kept = columns[:1] if row.error and len(columns) > 1 else columns
    cells = tuple(column.cell(row) for column in kept) if not row.error or len(columns) > 1 else ()
    return TableRow(row.name, row.file, _style(row, report), tuple(_tags(row, report)), cells, row.error)


def _style(row: Row, report: Report) -> str:
    if report.recommendation and report.recommendation.name == row.name:
        return "pick"
    return "check" if row.role in (Role.SELF, Role.NOISE) else ""


def _tags(row: Row, report: Report) -> Iterator[Tag]:
    if report.recommendation and report.recommendation.name == row.name:
        yield Tag("recommended", "pick")
    if row.role in _ROLES:
        yield Tag(_ROLES[row.role])
    elif row.ppl and not row.error:
        yield Tag(band(row.ppl.kld_mean.value))
    if tied := ties(row, report):
        yield Tag(f"≈ {', '.join(tied)}", "tied")
