"""`ggufrun doctor`: the report as text or JSON, with nothing in it that should stay at home."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from ggufrun.commandline.table import printable
from ggufrun.doctor.examine import examine
from ggufrun.doctor.finding import Finding, Level, Report
from ggufrun.doctor.redact import Redactor

_STYLES: Final[dict[Level, str]] = {"ok": "green", "note": "cyan", "warning": "yellow", "fault": "bold red"}
_INDENT: Final = 2
_LABEL: Final = max(map(len, _STYLES)) + 2


def doctor(model: str | None, *, as_json: bool) -> None:
    """Print the report; exit code 1 where it has a fault. Raises ModelNotFound and OptionError."""
    redactor = Redactor.here(os.environ)
    with _Shown() as shown:
        report = examine(model, shown.saying, shown.bytes_done)
    if as_json:
        print(json.dumps(redactor.value(as_data(report)), indent=2, ensure_ascii=False))
    else:
        show(report, redactor, Console(highlight=False, markup=False, emoji=False, soft_wrap=True))
    if report.worst == "fault":
        sys.stdout.flush()
        raise typer.Exit(1)


def as_data(report: Report) -> dict[str, Any]:
    """By section: its data, and its findings."""
    sections = {
        section.title: {**section.data, "findings": [asdict(finding) for finding in section.findings]}
        for section in report.sections
    }
    return {"worst": report.worst, **sections}


def show(report: Report, redactor: Redactor, console: Console) -> None:
    """One line for each fact and finding: what is long is wrapped by the terminal, so that commands can be copied."""

    def line(*parts: tuple[str, str]) -> None:
        console.print(
            Text.assemble(*((printable(redactor.text(text)), style) for text, style in parts)), soft_wrap=True
        )

    for number, section in enumerate(report.sections):
        if number:
            console.print()
        line((section.title, "bold"))
        widest = max((len(label) for label, _ in section.facts), default=0)
        for label, text in section.facts:
            line((" " * _INDENT + label.ljust(widest + 2), "dim"), (text, ""))
        for finding in section.findings:
            for parts in _lines(finding):
                line(*parts)


def _lines(finding: Finding) -> Iterator[tuple[tuple[str, str], ...]]:
    margin = " " * (_INDENT + _LABEL)
    level = finding.level.ljust(_LABEL)
    yield (" " * _INDENT + level, _STYLES[finding.level]), (f"{finding.topic}: ", "bold"), (finding.says, "")
    for evidence in finding.shown:
        yield ((f"{margin}  {evidence}", "dim"),)
    if finding.next:
        yield (margin, ""), (f"next: {finding.next}", _STYLES[finding.level])


class _Shown:
    """What is being done, on standard error, where someone looks at it."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._console = console
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Shown":
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def saying(self, what: str) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        self._console.print(f"{what} …", end="\r", highlight=False)
        try:
            yield
        finally:
            self._console.print(" " * (len(what) + 2), end="\r")

    def bytes_done(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._progress.start()
            self._tasks[name] = self._progress.add_task(printable(name), total=total)
        self._progress.update(self._tasks[name], completed=done)
