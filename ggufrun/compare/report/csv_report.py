"""report.csv: a line for each row, the figures of report.json that are one number or one text"""

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from ggufrun.compare.report.rows import Json, row_figures
from ggufrun.compare.results import Report

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take a text for a formula by


def csv_bytes(report: Report) -> bytes:
    """The file: UTF-8, a head, empty where there is nothing. Chat mode's columns begin with `chat_`."""
    rows = [_flat(row_figures(row, report.reference)) for row in report.rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, _columns(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue().encode(errors="backslashreplace")  # a file's name may be no text


def _flat(row: Json) -> Json:
    found = {name: value for name, value in row.items() if not isinstance(value, dict | list) and name != "chat"}
    for name, value in (row["chat"] or {}).items():
        if not isinstance(value, dict | list):
            found[f"chat_{name}"] = value
    for task in row["tasks"]:
        kept = ("items", "right", "accuracy", "accuracy_lo", "accuracy_hi", "gained", "lost", "p_mcnemar")
        found |= {f"{task['name']}_{name}": task[name] for name in kept if name in task}
    return found


def _columns(rows: Sequence[Json]) -> list[str]:
    """Of all rows; an interval's ends stand behind their figure, whichever row has them first."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    placed = [name for name in names if not name.endswith(("_lo", "_hi"))]
    return [each for name in placed for each in (name, f"{name}_lo", f"{name}_hi") if each in names]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
