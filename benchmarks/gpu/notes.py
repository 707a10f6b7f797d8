"""What was measured, as lines of JSON in one file: each part appends its own, so that none is lost with another."""

import json
import time
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def note(out: Path, part: str, **values: Any) -> Row:
    """Append a line, and say it."""
    row: Row = {"part": part, **values}
    with (out / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
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
