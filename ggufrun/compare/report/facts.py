"""Settings, hardware, versions and hashes as lines for people: what a reader needs to measure the same again"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ggufrun.compare.results import Report
from ggufrun.figures import gib

_MEMORY: Final = ("ram", "vram", "memory", "bytes", "total", "free")  # words in a name whose number is bytes

Facts = list[tuple[str, str]]


def facts(report: Report) -> list[tuple[str, Facts]]:
    """Groups with their titles; empty ones are left out."""
    groups = [
        ("Settings", list(_lines(report.settings))),
        ("Hardware", list(_lines(report.hardware))),
        ("Versions", list(_lines(report.versions))),
        ("Text", [*((f"part {number}", name) for number, name in enumerate(report.texts, 1)), *_hash(report)]),
        ("Files", [(row.name, f"{row.file}, KV cache {row.kv_type}, {row.sha256}") for row in report.rows]),
    ]
    return [(title, lines) for title, lines in groups if lines]


def _hash(report: Report) -> Facts:
    return [("SHA-256", report.text_sha256)] if report.text_sha256 else []


def _lines(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        told = f"{before}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _lines(value, f"{told}: ")
        else:
            yield told, _words(told, value)


def _words(name: str, value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int() if value >= 1 << 20 and any(word in name.lower() for word in _MEMORY):
            return gib(value)
        case Mapping():
            return ", ".join(f"{key} {_words(str(key), each)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(_words(name, each) for each in value) or "–"
        case _:
            return str(value)
