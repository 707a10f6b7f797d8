"""What a server compares models with: the comparison, its reports in the data folder, and how sure a win is"""

import json
import re
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from platformdirs import user_cache_path

from ggufrun.api.compare.comparer import FileName, Going, Json, Wanted
from ggufrun.errors import EngineError, UnknownJob
from ggufrun.store.resolve import locate

if TYPE_CHECKING:
    from ggufrun.compare.run.plan import Plan

_ID: Final = re.compile(r"\w[\w.+-]*")  # no folder above, none below


class Reports:
    """The folders of reports, each named by its id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[int, Json | None]] = {}  # when written, and what it says: who watches asks often

    def listed(self) -> list[Json]:
        """The newest first. What is no report, or damaged, is left out."""
        paths = (path for path in self.folder.glob("*/report.json") if _ID.fullmatch(path.parent.name))
        found = map(self._summary, paths)
        return sorted((each for each in found if each is not None), key=lambda each: each["created"], reverse=True)

    def _summary(self, path: Path) -> Json | None:
        try:
            written = path.stat().st_mtime_ns
        except OSError:  # it has just gone
            return None
        known = self._known.get(path)
        if known is None or known[0] != written:
            known = self._known[path] = written, _summary(path.parent)
        return known[1]

    def file(self, id: str, name: FileName) -> bytes:
        """Raises UnknownJob."""
        if not _ID.fullmatch(id):
            raise UnknownJob(id)
        try:
            return (self.folder / id / name).read_bytes()
        except OSError as error:
            raise UnknownJob(id) from error

    def report(self, id: str) -> Json:
        """Raises UnknownJob, and InputError for what is no report that could be shown."""
        from ggufrun.compare.report.json_reading import from_json

        content = self.file(id, "report.json")
        from_json(content)
        return _sendable(content)

    def delete(self, id: str) -> None:
        """Only what a report is made of: whatever else lies in its folder stays. Raises UnknownJob."""
        self.file(id, "report.json")
        for name in get_args(FileName):
            (self.folder / id / name).unlink(missing_ok=True)
        with suppress(OSError):  # something else lies there
            (self.folder / id).rmdir()


def _summary(folder: Path) -> Json | None:
    try:
        found = _sendable((folder / "report.json").read_bytes())
        advice = (found["recommendation"] or {}).get("sentence")
        return {
            "id": folder.name,
            "title": str(found["title"]),
            "created": datetime.fromtimestamp(found["created"], UTC).timestamp(),  # which no calendar may have
            "rows": len(found["rows"]),
            "unfinished": bool(found["unfinished"]),
            "recommendation": None if advice is None else str(advice),
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _sendable(content: bytes) -> dict[str, Any]:
    """Without what no answer's JSON can hold: NaN, and halves of characters, as names of files may have."""
    found = json.loads(content, parse_constant=lambda _: None)
    whole: dict[str, Any] = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    return whole


class Comparing:
    """Implements `Comparer`. Its libraries are imported when they are needed: a server starts without them."""

    def __init__(self, home: Path, cache: Path) -> None:
        self._home, self._cache = home, cache
        self._reports = Reports(home / "compare")

    def win_rate(self, wins: int, losses: int) -> tuple[float, float, float]:
        from ggufrun.compare.statistics.proportions import wilson

        rate = wilson(wins, wins + losses)
        return rate.value, rate.lo or 0.0, 1.0 if rate.hi is None else rate.hi

    def reports(self) -> list[Json]:
        return self._reports.listed()

    def report(self, id: str) -> Json:
        return self._reports.report(id)

    def file(self, id: str, name: FileName) -> bytes:
        return self._reports.file(id, name)

    def delete(self, id: str) -> None:
        self._reports.delete(id)

    def check(self, wanted: Wanted) -> None:
        self._plan(wanted)

    def compare(self, wanted: Wanted, going: Going, stop: threading.Event) -> Json:
        try:
            return self._compared(wanted, going, stop)
        except OSError as error:
            what = f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
            raise EngineError(what, "Make room, or check the rights, and begin it again.") from error

    def _compared(self, wanted: Wanted, going: Going, stop: threading.Event) -> Json:
        from ggufrun.commandline.compare_named import report_id
        from ggufrun.compare.report.written import write_report
        from ggufrun.compare.run.progress import Progress
        from ggufrun.compare.run.tasks_ahead import tasks_ahead
        from ggufrun.compare.run.whole import compare

        def tell(progress: Progress) -> None:
            going.progress(progress.done, progress.left_s, progress.doing, progress.row)

        plan = self._plan(wanted)
        for each in plan.contenders:
            if each.error is not None:
                going.note(f"{each.name} cannot take part: {each.error}")
        if ahead := tasks_ahead(plan):
            going.note(ahead)
        report = compare(plan, on_progress=tell, cancelled=stop)
        if report.unfinished and not any(row.ppl or row.chat or row.speed for row in report.rows):
            return {"unfinished": True}  # it was stopped before there was anything to keep
        id = report_id(report)
        write_report(report, self._reports.folder / id)
        return {"id": id, "unfinished": report.unfinished}

    def _plan(self, wanted: Wanted) -> "Plan":
        from ggufrun.commandline.compare_knobs import knobs
        from ggufrun.commandline.compare_named import model_of
        from ggufrun.compare.run.contender import contenders
        from ggufrun.compare.run.memory import check_aims
        from ggufrun.compare.run.mode import MODES
        from ggufrun.compare.run.plan import Aims, make_plan
        from ggufrun.compare.texts.mixture import mixture
        from ggufrun.compare.texts.source import Part, Source

        aims = Aims(wanted.min_tok_s, wanted.context, wanted.gpu, wanted.ram)
        check_aims(aims)
        source = mixture()
        if wanted.text is not None and wanted.text.strip():
            source = Source("your text", (Part("your text", wanted.text),), source.prompts)
        found = contenders([locate(each, self._home) for each in wanted.models], self._home)
        model, mode = model_of(found), MODES[wanted.mode]
        plan = make_plan(model, found, source, self._cache, kv_types=wanted.kv_types, mode=mode)
        tasks = mode.tasks if wanted.tasks is None else tuple(dict.fromkeys(wanted.tasks))
        return replace(plan, tasks=tasks, aims=aims, overrides=knobs(self._home))


def comparing(home: Path) -> Comparing:
    """With its reports in the data folder, and what is measured in the platform's cache folder."""
    return Comparing(home, user_cache_path("ggufrun", appauthor=False) / "compare")
