"""Measurements as one Markdown table and one JSON file, with the machine and the versions that they were made with."""

import json
import os
import platform
import re
import statistics
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil


def machine() -> str:
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        processor = found[1] if found else processor
    memory = psutil.virtual_memory().total / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def peer_version(server: Path) -> str:
    done = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip().split("\n")[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement of both contenders, all rounds. The ratio is ours over theirs, or theirs over ours for costs."""

    name: str
    unit: str
    theirs: list[float]
    ours: list[float]
    is_cost: bool = False
    least_ratio: float | None = None  # the target, where it is one of the ratio
    target: str = ""  # the target in words, where it is not
    met: bool | None = None

    @property
    def ratio(self) -> float:
        theirs, ours = statistics.median(self.theirs), statistics.median(self.ours)
        above, below = (theirs, ours) if self.is_cost else (ours, theirs)
        return above / below if below else float("nan")

    def line(self) -> str:
        theirs, ours = (f"{statistics.median(values):g}" for values in (self.theirs, self.ours))
        target = self.target if self.least_ratio is None else f"≥ {self.least_ratio:g}×"
        met = self.met if self.least_ratio is None else self.ratio >= self.least_ratio
        verdict = {None: "", True: "yes", False: "no"}[met]
        return f"| {self.name} | {self.unit} | {theirs} | {ours} | {self.ratio:.2f}× | {target} | {verdict} |"


@dataclass(slots=True)
class Report:
    options: dict[str, Any]
    peer: str
    rows: list[Row] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    date: datetime = field(default_factory=lambda: datetime.now(UTC))

    def markdown(self) -> str:
        ours = f"ggufrun {version('ggufrun')} on llama-cpp-python {version('llama-cpp-python')}"
        head = [
            f"# Side by side, {self.date:%Y-%m-%d}",
            "",
            f"{machine()}. {ours}; llama-server {self.peer}. Medians of {self.options['rounds']} alternating rounds, "
            f"each on a freshly started server: {', '.join(f'{k} {v}' for k, v in self.options.items())}.",
            "",
            "| measure | unit | llama.cpp | ggufrun | ratio | target | reached |",
            "|---|---|---|---|---|---|---|",
        ]
        return "\n".join([*head, *(row.line() for row in self.rows)]) + "\n"

    def save(self, folder: Path) -> Path:
        """Write both files, named by date and time; the Markdown file's path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.date:%Y-%m-%d-%H%M}"
        facts = {"date": self.date.isoformat(), "machine": machine(), "peer": self.peer, "options": self.options}
        path.with_suffix(".json").write_text(json.dumps(facts | {"raw": self.raw}, indent=1) + "\n")
        path.with_suffix(".md").write_text(self.markdown())
        return path.with_suffix(".md")
