"""`ggufrun usage`: what the recorded calls add up to, as a table, as CSV or as JSON."""

import csv
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Final, Literal, cast

from ggufrun.commandline.table import lines
from ggufrun.errors import OptionError
from ggufrun.records.database import FILE_NAME
from ggufrun.records.usage_report import By, UsageReport, UsageRow, usage_report
from ggufrun.userconfig import data_folder

Format = Literal["table", "csv", "json"]

_SPAN: Final = re.compile(r"(\d{1,5})([hdw])", re.ASCII)
_HOURS: Final = {"h": 1, "d": 24, "w": 168}
_HEADS: Final = ("calls", "prompt", "cached", "completion", "TTFT", "tokens/s", "USD")
_PAID: Final = ("spent", "saved")  # where anything was: who has no engine elsewhere saves all of it


def usage(since: str | None, by: str, form: Format) -> None:
    """Print the calls of all servers on this machine. Raises OptionError."""
    if by not in ("day", "key", "model", "engine"):
        raise OptionError(f"--by cannot be {by!r}.", "Use day, key, model or engine.")
    start = since_time(since, datetime.now(UTC)) if since is not None else None
    grouping = cast(By, by)
    path = data_folder(os.environ) / FILE_NAME
    report = usage_report(path, grouping, start.timestamp() if start else 0.0)
    if not report.rows:
        when = f" since {start:%Y-%m-%d %H:%M} UTC" if start else " yet"
        note = f"No calls are recorded{when}. They are while `ggufrun serve` runs."
        print(note, file=sys.stdout if form == "table" else sys.stderr)
    if form == "csv":
        _print_csv(report, grouping)
    elif form == "json":
        print(json.dumps({"by": by, "since": start.isoformat() if start else None, **asdict(report)}, indent=2))
    elif report.rows:
        print("\n".join(table(report, grouping)))


def form_of(*, csv: bool, as_json: bool) -> Format:
    if csv and as_json:
        raise OptionError("--csv and --json exclude each other.", "Give one of them.")
    return "csv" if csv else "json" if as_json else "table"


def since_time(text: str, now: datetime) -> datetime:
    """`7d`, `12h` or `2w` before `now`, or a date with or without a time, in UTC where it names no zone."""
    if match := _SPAN.fullmatch(text):
        seconds = int(match[1]) * _HOURS[match[2]] * 3600
        return datetime.fromtimestamp(max(0.0, now.timestamp() - seconds), UTC)
    try:
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise OptionError(f"--since cannot be {text!r}.", "Write it as 7d, 12h or 2026-11-01.") from error


def table(report: UsageReport, by: By) -> list[str]:
    """Lines: names to the left, numbers to the right, the sum of all last."""
    paid = report.total.spent_usd > 0
    cells = [_cells(row) + (_paid(row) if paid else ()) for row in (*report.rows, report.total)]
    head, *rows, total = lines([(by, *_HEADS, *(_PAID if paid else ())), *cells], numbers=True)
    rule = "-" * len(head)
    return [head, rule, *rows, rule, total]


def _cells(row: UsageRow) -> tuple[str, ...]:
    counts = (row.calls, row.prompt_tokens, row.cached_tokens, row.completion_tokens)
    return (
        row.name or "(no key)",
        *(f"{count:,}" for count in counts),
        "-" if row.ttft_s is None else f"{row.ttft_s:.2f} s",
        "-" if row.tokens_per_s is None else f"{row.tokens_per_s:.1f}",
        _usd(row.usd),
    )


def _paid(row: UsageRow) -> tuple[str, ...]:
    return _usd(row.spent_usd), _usd(row.saved_usd)


def _usd(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _print_csv(report: UsageReport, by: By) -> None:
    """No sum: who reads the file would count it twice."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([by, *(each.name for each in fields(UsageRow)[1:])])
    writer.writerows(_values(row) for row in report.rows)


def _values(row: UsageRow) -> Sequence[object]:
    return [getattr(row, each.name) for each in fields(UsageRow)]
