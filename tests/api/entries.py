"""Calls for the tests of the ledger, and what its file holds."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from ggufrun.records.ledger import Entry, Ledger

STEPS = 3000  # of 0.02 s, before a wait is given up
_numbers = count()
_CALL = Entry(
    time=0.0,
    request_id="",
    key="",
    endpoint="/v1/chat/completions",
    model="demo",
    file="demo.Q4_1.gguf",
    quant="Q4_1",
    prompt_tokens=10,
    cached_tokens=4,
    completion_tokens=5,
    ttft_s=0.1,
    total_s=0.2,
    tokens_per_s=50.0,
    finish_reason="stop",
    status=200,
    usd=None,
)


def entry(**changes: Any) -> Entry:
    """A call of now with an id of its own."""
    return replace(_CALL, **{"time": time.time(), "request_id": f"call-{next(_numbers)}", **changes})


def rows(path: Path, table: str = "calls") -> list[dict[str, Any]]:
    """What another process sees in the file."""
    with closing(sqlite3.connect(path, timeout=60)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def until_written(path: Path, calls: int) -> list[dict[str, Any]]:
    for _ in range(STEPS):
        if len(found := rows(path)) >= calls:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{len(rows(path))} of {calls} calls are written")


def write(path: Path, *entries: Entry) -> None:
    ledger = Ledger(path)
    for each in entries:
        ledger.record(each)
    ledger.close()
