"""What was measured, as lines of JSON in one file: each part appends its own, so that none is lost with another."""

import json
import time
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def note(out: Path, part: str, **values: Any) -> Row:
    """Append a line, and say it."""
    row: Row = {"part": part, **values}
    with (out / "results.jsonl").open("ab", buffering=0) as file:  # one write: others append, too
        file.write(f"{json.dumps(row)}\n".encode())
    short = " ".join(f"{key}={_short(value)}" for key, value in values.items())
    print(f"{time.strftime('%H:%M:%S')} {part}: {short}"[:400], flush=True)
    return row


def notes(out: Path) -> list[Row]:
    file = out / "results.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def _short(value: Any) -> str:
    if isinstance(value, int) and value > 1 << 20:
        return f"{value / (1 << 20):.0f}Mi"
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
