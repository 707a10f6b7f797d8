"""The last calls in the ledger, one by one. What they add up to is `usage_report`'s."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ggufrun.errors import OptionError
from ggufrun.records.database import connect
from ggufrun.records.ledger import COLUMNS, Entry


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One line of the ledger. `id`: the number that the file gave it; they rise with time."""

    id: int
    entry: Entry


def last_calls(path: Path, limit: int, *, key: str | None = None, before: int | None = None) -> Sequence[LoggedCall]:
    """The newest first: those of one key, None for all; of those below the number `before` where there is one.

    Raises OptionError where the file cannot be read.
    """
    if not path.exists():
        return ()
    wanted = " AND ".join(
        condition for condition, given in (("key = :key", key), ("id < :before", before)) if given is not None
    )
    chosen = f"WHERE {wanted}" if wanted else ""
    query = f"SELECT id, {', '.join(COLUMNS)} FROM calls {chosen} ORDER BY id DESC LIMIT :limit"
    with closing(connect(path)) as database:
        try:
            rows = database.execute(query, {"key": key, "before": before, "limit": limit}).fetchall()
        except sqlite3.Error as error:
            raise OptionError(f"{path}: the ledger cannot be read ({error}).", "Move the file away.") from error
    return [LoggedCall(id, Entry(*values)) for id, *values in rows]
