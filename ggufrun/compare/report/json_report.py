"""report.json: all that was found, with the settings, hashes, hardware and versions it was found with"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from ggufrun.compare.report.rows import Json, named, number, row_figures
from ggufrun.compare.results import Pair, Report

SCHEMA: Final = "ggufrun-compare"
SCHEMA_VERSION: Final = 1  # greater when a name changes its meaning or goes; new names do not count


def report_json(report: Report) -> Json:
    """As JSON's own types."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "title": report.title,
        "model": report.model,
        "reference": report.reference,
        "created": report.created,
        "created_utc": datetime.fromtimestamp(report.created, UTC).isoformat(timespec="seconds"),
        "unfinished": report.unfinished,
        "recommendation": asdict(report.recommendation) if report.recommendation else None,
        "notes": list(report.notes),
        "noise_kld_mean": number(report.noise) if report.noise is not None else None,
        "rows": [row_figures(row, report.reference) for row in report.rows],
        "pairs": [_pair(pair) for pair in report.pairs],
        "pairs_chat": [_pair(pair) for pair in report.pairs_chat],
        "texts": list(report.texts),
        "text_sha256": report.text_sha256,
        "settings": report.settings,
        "hardware": report.hardware,
        "versions": report.versions,
    }


def json_bytes(report: Report) -> bytes:
    """The file. A file's name may be no text: its bytes are then escaped, as JSON escapes a lone surrogate."""
    text = json.dumps(report_json(report), ensure_ascii=False, indent=1, allow_nan=False, default=_plain)
    return f"{text}\n".encode(errors="backslashreplace")


def _plain(value: Any) -> Any:
    """Settings hold paths, tuples and enumerations as well."""
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def _pair(pair: Pair) -> Json:
    p = pair.p_a_better
    return {
        "a": pair.a,
        "b": pair.b,
        **named("difference", pair.difference),
        "p_a_better": None if p is None else number(p),
        "is_tied": pair.is_tied,
    }
