"""The last calls in the ledger, one by one. What they add up to is `usage_report`'s."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.errors import OptionError
from ggufrun.records.database import connect

_COLUMNS: Final = (
    "id, time, request_id, key, endpoint, model, quant, prompt_tokens, cached_tokens, completion_tokens, ttft_s, "
    "total_s, tokens_per_s, finish_reason, status, usd"
)


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """As `ledger.Entry`, with the number that the file gave it: they rise with time."""

    id: int
    time: float
    request_id: str
    key: str
    endpoint: str
    model: str
    quant: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    ttft_s: float | None
    total_s: float
    tokens_per_s: float
    finish_reason: str
    status: int
    usd: float | None


def last_calls(path: Path, limit: int, *, key: str | None = None, before: int | None = None) -> Sequence[LoggedCall]:
    """The newest first: those of one key, None for all; of those below the number `before` where there is one.

    Raises OptionError where the file cannot be read.
    """
    if not path.exists():
        return ()
    wanted = " AND ".join(
        condition for condition, given in (("key = :key", key), ("id < :before", before)) if given is not None
    )
    query = f"SELECT {_COLUMNS} FROM calls {f'WHERE {wanted}' if wanted else ''} ORDER BY id DESC LIMIT :limit"
    with closing(connect(path)) as database:
        try:
            rows = database.execute(query, {"key": key, "before": before, "limit": limit}).fetchall()
        except sqlite3.Error as error:
            raise OptionError(f"{path}: the ledger cannot be read ({error}).", "Move the file away.") from error
    return [LoggedCall(*row) for row in rows]
