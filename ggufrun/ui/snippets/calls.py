"""The last calls of the API as a table, and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

Call = Mapping[str, Any]
COLUMNS: Final = (
    *("time", "request_id", "key", "endpoint", "model", "quant", "prompt_tokens", "cached_tokens"),
    *("completion_tokens", "ttft_s", "total_s", "tokens_per_s", "finish_reason", "status", "usd"),
)
_HEADS: Final = ("Time (UTC)", "Endpoint", "Model", "Prompt", "Answer", "TTFT", "Time", "Tokens/s", "End", "Hosted")


def as_table(calls: Sequence[Call]) -> Markup:
    """Newest first. Names are the user's, and are escaped."""
    if not calls:
        return Markup('<p class="none">No calls yet. They stand here a moment after they have ended.</p>')
    heads = Markup("").join(Markup("<th>{}</th>").format(head) for head in _HEADS)
    rows = Markup("").join(map(_row, calls))
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(heads, rows)


def as_csv(calls: Sequence[Call]) -> str:
    """All fields, with the API's names. Times in seconds, `time` in ISO 8601."""
    written = io.StringIO()
    rows = csv.DictWriter(written, COLUMNS, extrasaction="ignore")
    rows.writeheader()
    rows.writerows({name: _harmless(call.get(name)) for name in COLUMNS} for call in calls)
    return written.getvalue()


def _row(call: Call) -> Markup:
    failed = call["status"] >= 400
    model = " ".join(each for each in (call["model"], call["quant"]) if each)
    cells = (
        f"{datetime.fromisoformat(call['time']):%m-%d %H:%M:%S}",
        call["endpoint"],
        model,
        _tokens(call["prompt_tokens"], call["cached_tokens"]),
        f"{call['completion_tokens']:,}",
        "" if call["ttft_s"] is None else f"{call['ttft_s']:.2f} s",
        f"{call['total_s']:.1f} s",
        f"{call['tokens_per_s']:.1f}" if call["tokens_per_s"] else "",
        f"{call['status']} {call['finish_reason']}" if failed else call["finish_reason"],
        "" if call["usd"] is None else f"${call['usd']:.6f}",
    )
    said = Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells)
    return Markup('<tr class="{}">{}</tr>').format("failed" if failed else "", said)


def _tokens(prompt: int, cached: int) -> str:
    return f"{prompt:,} ({cached:,} cached)" if cached else f"{prompt:,}"


def _harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula, kept a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
