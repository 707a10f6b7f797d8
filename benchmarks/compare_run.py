"""How long a quick comparison takes, and how right the time left was that it told on the way

    python -m benchmarks.compare_run a.gguf b.gguf c.gguf [--mode quick]

Nothing of an earlier run is used. The time left must be right within a factor of two from the first quant's end on,
as long as more than a few seconds are left.
"""

import argparse
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

from ggufrun.compare.results import Report
from ggufrun.compare.run.contender import contenders
from ggufrun.compare.run.mode import MODES
from ggufrun.compare.run.plan import make_plan
from ggufrun.compare.run.progress import Progress
from ggufrun.compare.run.whole import compare
from ggufrun.compare.texts.mixture import mixture
from ggufrun.figures import duration

LEAST_S = 5.0  # left: below that a factor says nothing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--mode", choices=list(MODES), default="quick")
    arguments = parser.parse_args()
    began, told = time.monotonic(), list[tuple[float, Progress]]()

    def hear(progress: Progress) -> None:
        told.append((time.monotonic() - began, progress))

    with tempfile.TemporaryDirectory() as folder:
        found = contenders(arguments.files, Path(folder) / "home")
        plan = make_plan("benchmark", found, mixture(), Path(folder) / "cache", mode=MODES[arguments.mode])
        report = compare(plan, on_progress=hear, cancelled=threading.Event())
    _print(report, told, time.monotonic() - began)


def _print(report: Report, told: list[tuple[float, Progress]], whole: float) -> None:
    by_row: dict[str, float] = {}
    for (at, progress), (following, _) in pairwise(told):
        name = progress.row or "(no model)"
        by_row[name] = by_row.get(name, 0.0) + following - at
    print(f"{duration(whole)} in all")
    for name, seconds in by_row.items():
        print(f"  {name:20} {seconds:6.1f} s")
    quants = [row.name for row in report.rows if row.role == "quant"]
    second = next((at for at, progress in told if quants[1:] and progress.row == quants[1]), whole)
    factors = [
        progress.left_s / (whole - at)
        for at, progress in told
        if at >= second and progress.left_s is not None and whole - at > LEAST_S
    ]
    if factors:
        print(f"time left after the first quant: {min(factors):.2f} to {max(factors):.2f} times what it was")


if __name__ == "__main__":
    main()
