"""Rows of the report, made of what is finished: scores, answers, timings. What lacks is left out"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from ggufrun.compare.results import Greedy, Memory, Quality, Role, Row, Speed, TaskResult
from ggufrun.compare.run.cache import is_here
from ggufrun.compare.run.jobs import PP, TG, Job, Kind
from ggufrun.compare.run.memory import Need
from ggufrun.compare.run.plan import RowPlan
from ggufrun.compare.scoring.archive import DamagedFile
from ggufrun.compare.scoring.base_file import BaseReader
from ggufrun.compare.scoring.files import read_logp, read_scores, read_written
from ggufrun.compare.statistics.quality import Qualities, mean_kld, quality
from ggufrun.compare.statistics.speeds import median_interval

_T = TypeVar("_T")


def read_json(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_bytes())
    return found


_READERS: Final[Mapping[Kind, Callable[[Path], object]]] = {
    "text": read_scores,
    "chat": read_scores,
    "write": read_written,
    "speed": read_json,
    "choices": read_logp,
    "needle": read_written,
}


@dataclass(frozen=True, slots=True)
class Extras:
    """What a row has beside its scores."""

    greedy: tuple[Greedy, ...] = ()
    tasks: tuple[TaskResult, ...] = ()
    speed: Speed | None = None
    cost: Mapping[str, Any] = field(default_factory=dict)  # load_s, peak
    need: Need | None = None
    error: str | None = None


def read_part(path: Path, read: Callable[[Path], _T]) -> _T | None:
    """None where it is not there, or damaged: then it is removed, and measured anew the next time."""
    if not is_here(path):
        return None
    try:
        return read(path)
    except (DamagedFile, ValueError, LookupError, TypeError, OSError):
        with suppress(OSError):  # whoever reads next finds it damaged, too
            path.unlink(missing_ok=True)
        return None


def is_finished(job: Job) -> bool:
    """Whether all that it makes is there, and whole."""
    beside = read_json if job.kind == "speed" else _opened
    return all(read_part(path, _READERS[job.kind] if path is job.out else beside) is not None for path in job.makes)


def _opened(path: Path) -> bool:
    """A base, which may be large: its directory stands at its end."""
    with BaseReader(path):
        return True


def qualities(jobs: Mapping[str, Job], rows: Sequence[RowPlan], parts: Sequence[str]) -> tuple[Qualities, float | None]:
    """Of one mode, whose jobs they are by row; and its noise. The rows that test the others are in no pair."""
    scores = {name: found for name, job in jobs.items() if (found := read_part(job.out, read_scores)) is not None}
    if rows[0].name not in scores:
        return Qualities({}, ()), None
    names = {each.role: each.name for each in rows if each.role in (Role.SELF, Role.NOISE)}
    noise = mean_kld(scores[names[Role.NOISE]]) if names[Role.NOISE] in scores else None
    compared = quality(scores, rows[0].name, parts=parts, noise=noise)
    pairs = tuple(pair for pair in compared.pairs if not {pair.a, pair.b} & set(names.values()))
    return Qualities(compared.of, pairs), noise


def speed_of(raw: Mapping[str, Any], first_tokens: Sequence[float]) -> Speed:
    depths = {
        int(depth): (median_interval(found["pp"]), median_interval(found["tg"]))
        for depth, found in raw.get("depths", {}).items()
    }
    ttft = median_interval(first_tokens) if first_tokens else None
    return Speed(median_interval(raw["pp"]), PP, median_interval(raw["tg"]), TG, depths, ttft)


def row_of(plan: RowPlan, ppl: Quality | None, chat: Quality | None, extras: Extras) -> Row:
    contender = plan.contender
    return Row(
        name=plan.name,
        file=contender.path.name,
        quant=contender.quant,
        kv_type=plan.kv_type,
        role=plan.role,
        bytes=contender.size,
        bpw=contender.bpw,
        sha256=contender.sha256,
        ppl=ppl,
        chat=chat,
        greedy=extras.greedy,
        tasks=extras.tasks,
        speed=extras.speed,
        memory=_memory(extras),
        error=extras.error,
    )


def _memory(extras: Extras) -> Memory | None:
    need, cost = extras.need, extras.cost
    if not cost:
        return None
    return Memory(
        planned=need.planned if need else None,
        peak=int(cost["peak"]),
        load_s=float(cost["load_s"]),
        fits_context=need.fits_context if need else None,
        left=need.left if need else None,
    )
