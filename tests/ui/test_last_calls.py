"""The last calls as a table and as CSV: what stands in them is the users', and stays a text."""

import csv
import io
from typing import Any

from ggufrun.ui.snippets.calls import as_csv, as_table

CALL: dict[str, Any] = {
    "id": 1,
    "time": "2026-11-26T10:00:00Z",
    "request_id": "r",
    "key": "=cmd()",
    "endpoint": "/v1/chat/completions",
    "model": "<img src=x onerror=alert(1)>",
    "quant": "Q4_K_M",
    "prompt_tokens": 1234,
    "cached_tokens": 1000,
    "completion_tokens": 56,
    "ttft_s": 0.125,
    "total_s": 1.5,
    "tokens_per_s": 42.0,
    "finish_reason": "stop",
    "status": 200,
    "usd": None,
}


def test_the_table_shows_markup_as_it_is_written() -> None:
    shown = as_table([CALL, {**CALL, "status": 503, "finish_reason": "server_error"}])
    assert "<img" not in shown and "&lt;img src=x" in shown
    assert "1,234 (1,000 cached)" in shown and '<tr class="failed">' in shown and "503 server_error" in shown
    assert "No calls yet" in as_table([])


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv([CALL])))
    assert row["key"] == "'=cmd()" and row["usd"] == "" and row["prompt_tokens"] == "1234"
