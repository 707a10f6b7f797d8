"""Writes a report's files, each whole or not at all: JSON and CSV first, then what is looked at"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.compare.report.csv_report import csv_bytes
from ggufrun.compare.report.html import page
from ggufrun.compare.report.json_report import json_bytes
from ggufrun.compare.report.plots import pictures
from ggufrun.compare.results import Report

PICTURES: Final = ("pareto.svg", "pareto.png", "depth.svg", "depth.png")


@dataclass(frozen=True, slots=True)
class Written:
    """`pictures` are those that could be drawn."""

    html: Path
    json: Path
    csv: Path
    pictures: tuple[Path, ...]


def write_report(report: Report, folder: Path) -> Written:
    """The folder is made. Files of an earlier report in it are replaced, and its pictures go. May raise OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    json = _write(folder / "report.json", json_bytes(report))
    csv = _write(folder / "report.csv", csv_bytes(report))
    drawn = pictures(report)
    for name in PICTURES:
        if name not in drawn.files:
            (folder / name).unlink(missing_ok=True)
    paths = tuple(_write(folder / name, content) for name, content in drawn.files.items())
    html = _write(folder / "report.html", page(report, drawn).encode())
    return Written(html, json, csv, paths)


def _write(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)  # a temporary file is its owner's only
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
