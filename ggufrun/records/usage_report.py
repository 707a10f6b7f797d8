"""What the calls in the ledger add up to, by day, key, model or engine. Reads beside the servers that write."""

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final, Literal

from ggufrun.errors import OptionError
from ggufrun.records.database import connect

By = Literal["day", "key", "model", "engine"]

_NAMES: Final[dict[By, str]] = {
    "day": "date(time, 'unixepoch')",  # UTC, as the limits of tokens per day
    "key": "key",
    "model": "CASE WHEN quant = '' OR instr(upper(model), quant) THEN model ELSE model || ' ' || quant END",
    "engine": "CASE WHEN engine = '' THEN model ELSE engine END",  # without a route a model is its own engine
}
_COLUMNS: Final = "prompt_tokens, cached_tokens, completion_tokens, ttft_s, tokens_per_s, usd, spent_usd"

_Call = tuple[int, int, int, float | None, float, float | None, float]


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The calls of one day, key ("" for calls without one), model or engine.

    `usd`: what the hosted model would have cost for all their tokens; None where no call had a price. `saved_usd`: what
    of that was not spent.
    """

    name: str
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    ttft_s: float | None  # median; None: no call came to its first token
    tokens_per_s: float | None  # median, of the calls that had an answer
    usd: float | None
    spent_usd: float
    saved_usd: float | None


@dataclass(frozen=True, slots=True)
class UsageReport:
    rows: tuple[UsageRow, ...]
    total: UsageRow


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    usd: float | None = None
    spent: float = 0.0
    ttft: "array[float]" = field(default_factory=lambda: array("d"))
    speed: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, call: _Call) -> None:
        prompt, cached, completion, ttft_s, tokens_per_s, usd, spent = call
        self.calls += 1
        self.spent += spent
        self.prompt, self.cached, self.completion = (
            self.prompt + prompt,
            self.cached + cached,
            self.completion + completion,
        )
        if ttft_s is not None:
            self.ttft.append(ttft_s)
        if tokens_per_s > 0:
            self.speed.append(tokens_per_s)
        if usd is not None:
            self.usd = (self.usd or 0.0) + usd

    def row(self, name: str) -> UsageRow:
        ttft, speed = (median(values) if values else None for values in (self.ttft, self.speed))
        usd = None if self.usd is None else round(self.usd, 9)  # a token of the cheapest models is worth more
        spent = round(self.spent, 9)
        saved = None if usd is None else round(usd - spent, 9)
        return UsageRow(name, self.calls, self.prompt, self.cached, self.completion, ttft, speed, usd, spent, saved)


def usage_report(path: Path, by: By, since: float = 0.0) -> UsageReport:
    """The calls that began at `since` (seconds since the epoch) or later, by name; without a file there are none.

    Raises OptionError where the file cannot be read.
    """
    sums: dict[str, _Sum] = {}
    total = _Sum()
    for name, call in _calls(path, by, since):
        sums.setdefault(name, _Sum()).add(call)
        total.add(call)
    return UsageReport(tuple(sums[name].row(name) for name in sorted(sums)), total.row("total"))


def _calls(path: Path, by: By, since: float) -> Iterator[tuple[str, _Call]]:
    if not path.exists():
        return
    with closing(connect(path)) as database:
        try:
            for name, *call in database.execute(
                f"SELECT {_NAMES[by]}, {_COLUMNS} FROM calls WHERE time >= ?", (since,)
            ):
                yield name, tuple(call)
        except sqlite3.Error as error:
            raise OptionError(f"{path}: the ledger cannot be read ({error}).", "Move the file away.") from error
