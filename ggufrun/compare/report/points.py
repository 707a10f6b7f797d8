"""What the Pareto pictures show: a point for each row, and which of them no other row beats"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ggufrun.compare.report.ties import compared
from ggufrun.compare.results import Figure, Report, Role, Row


@dataclass(frozen=True, slots=True)
class Point:
    name: str
    x: Figure
    y: Figure  # mean KL divergence
    kv_type: str

    @property
    def file(self) -> str:
        """Its name without that of the KV cache: `Q4_K_M` of `Q4_K_M kv q8_0`."""
        return self.name.removesuffix(f" kv {self.kv_type}")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a row is paid with."""

    key: str
    label: str
    of: Callable[[Row], Figure | None]


def _peak(row: Row) -> Figure | None:
    return Figure(row.memory.peak / 2**30) if row.memory else None


def _file(row: Row) -> Figure:
    return Figure(row.bytes / 1e9)


def _ms_a_token(row: Row) -> Figure | None:
    if row.speed is None or row.speed.tg.value <= 0:
        return None
    tg = row.speed.tg
    return Figure(1000 / tg.value, 1000 / tg.hi if tg.hi else None, 1000 / tg.lo if tg.lo else None)


MEMORY: Final = Cost("memory", "peak memory, GiB", _peak)
SIZE: Final = Cost("memory", "size of the file, GB", _file)
TIME: Final = Cost("time", "ms for each token it writes", _ms_a_token)


def costs(report: Report) -> tuple[Cost, ...]:
    """Memory, and the time for a token where it was measured. The file's size where not all have their memory."""
    rows = [row for row in compared(report.rows) if _kld(row)]
    memory = MEMORY if all(row.memory for row in rows) else SIZE
    return tuple(cost for cost in (memory, TIME) if any(cost.of(row) for row in rows if row.role is Role.QUANT))


def points(report: Report, cost: Cost) -> tuple[Point, ...]:
    found = []
    for row in compared(report.rows):
        x, y = cost.of(row), _kld(row)
        if x and y:
            found.append(Point(row.name, x, y, row.kv_type))
    return tuple(found)


def front(points: Sequence[Point]) -> tuple[Point, ...]:
    """Those that no other one beats in both, from the cheapest on.

    What is 0 beats all that cost more, and is itself left out: it has no logarithm.
    """
    kept: list[Point] = []
    for point in sorted(points, key=lambda each: (each.x.value, each.y.value)):
        if not kept or point.y.value < kept[-1].y.value:
            kept.append(point)
    return tuple(point for point in kept if point.y.value > 0)


def _kld(row: Row) -> Figure | None:
    """Over the text; along the reference's answers where only those were scored."""
    quality = row.ppl or row.chat
    if row.error or quality is None:
        return None
    return quality.kld_mean
