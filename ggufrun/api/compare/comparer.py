"""Comparisons as the routes see them. `ggufrun.compare` does the work; the command line puts the two together

All of it blocks, `compare` for minutes: the routes call it from threads. What it answers is JSON.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from ggufrun.settings import KvType

Json = Mapping[str, Any]
ModeName = Literal["quick", "default", "full"]
TaskName = Literal["tools", "choices", "needle"]
FileName = Literal["report.html", "report.json", "report.csv", "pareto.svg", "pareto.png", "depth.svg", "depth.png"]

MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be compared: models as `ggufrun run` takes them. `text`: the user's own; None: the built-in one."""

    models: tuple[str, ...]
    mode: ModeName = "default"
    text: str | None = None
    kv_types: tuple[KvType, ...] = ("f16",)
    tasks: tuple[TaskName, ...] | None = None  # None: those that belong to the mode
    min_tok_s: float | None = None  # this and what follows is what the recommendation has to respect
    context: int | None = None
    gpu: str | None = None
    ram: str | None = None


class Going(Protocol):
    """Where a comparison tells how it goes on, from any thread."""

    def note(self, sentence: str) -> None: ...

    def progress(self, done: float, left_s: float | None, doing: str, row: str) -> None:
        """`done`: from 0 to 1; `left_s`: None, not known yet; `row`: which line of the table."""


class Comparer(Protocol):
    """Raises `GgufrunError` for what cannot be."""

    def win_rate(self, wins: int, losses: int) -> tuple[float, float, float]:
        """The share of wins of the votes that are decided, and its 95 % interval."""

    def reports(self) -> list[Json]:
        """Those that are kept, the newest first."""

    def report(self, id: str) -> Json:
        """All that report.json has. Raises UnknownJob, and InputError for one that is damaged."""

    def file(self, id: str, name: FileName) -> bytes:
        """Raises UnknownJob."""

    def delete(self, id: str) -> None:
        """A report, with its files. Raises UnknownJob."""

    def check(self, wanted: Wanted) -> None:
        """Raises what `compare` would raise at once: for a model that is not here, or two that do not go together."""

    def compare(self, wanted: Wanted, going: Going, stop: threading.Event) -> Json:
        """`id` of the report that it has become. Soon after `stop` is set it returns what is done, if anything is."""
