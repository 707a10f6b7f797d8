"""Small comparisons of tiny models, for the tests: a plan in a second, and what it told while it ran"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ggufrun.compare.results import Report, Row
from ggufrun.compare.run.contender import contenders
from ggufrun.compare.run.mode import Mode
from ggufrun.compare.run.plan import PLAIN, Plan, make_plan
from ggufrun.compare.run.progress import Progress
from ggufrun.compare.run.whole import compare
from ggufrun.compare.texts.mixture import prompts
from ggufrun.compare.texts.source import Part, Source
from ggufrun.settings import KvType, ModelOverrides

SMALL = Mode("quick", 8, 2, 8, 1, (0,), ())
LINE = "The river below the bridge was high again, and nobody could say when the rain would stop.\n"


def source(lines: int = 250) -> Source:
    text = "".join(f"{at}. {LINE}" for at in range(lines))
    return Source("a test", (Part("lines", text),), prompts())


def small_plan(
    paths: Sequence[Path],
    folder: Path,
    *,
    kv_types: Sequence[KvType] = (PLAIN,),
    reference: str | None = None,
    text: Source | None = None,
) -> Plan:
    """On one thread: several wait for each other at every step of so little a model, most of all on a busy machine."""
    found = contenders(paths, folder / "home")
    plan = make_plan(
        "tiny", found, text or source(), folder / "cache", kv_types=kv_types, reference=reference, mode=SMALL
    )
    return replace(plan, overrides=ModelOverrides(threads=1))


@dataclass
class Told:
    """What a run says. `stop_at`: a row and a thing to do at which it is stopped."""

    stop_at: tuple[str, str] | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    heard: list[Progress] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.heard.append(progress)
        if (progress.row, progress.doing) == self.stop_at:
            self.cancelled.set()

    @property
    def loads(self) -> list[str]:
        """The rows whose model was loaded, once for each load."""
        return [each.row for each in self.heard if each.doing == "loading"]


def run(plan: Plan, told: Told | None = None) -> Report:
    told = told or Told()
    return compare(plan, on_progress=told, cancelled=told.cancelled)


def row_of(report: Report, name: str) -> Row:
    return next(row for row in report.rows if row.name == name)
