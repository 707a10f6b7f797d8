"""The picture of KL divergence by depth: whether a row gets worse the more stands before a token"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ggufrun.compare.report.drawing import LINE, SMALL, apart, height_for, label, log_scale, panels
from ggufrun.compare.report.palette import Palette
from ggufrun.compare.report.ties import compared
from ggufrun.compare.results import Depth, Report, Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def by_depth(report: Report) -> dict[str, tuple[Depth, ...]]:
    """Of each row that has at least two depths: over the text, or else along the reference's answers."""
    rows = [row for row in compared(report.rows) if row.role is Role.QUANT and not row.error]
    for qualities in ([row.ppl for row in rows], [row.chat for row in rows]):
        found = {row.name: each.depths for row, each in zip(rows, qualities, strict=True) if each}
        found = {name: _drawable(depths) for name, depths in found.items()}
        if any(len(depths) > 1 for depths in found.values()):
            return {name: depths for name, depths in found.items() if len(depths) > 1}
    return {}


def depth_picture(report: Report, palette: Palette) -> "Figure | None":
    """None where no row has two depths. Inside `drawing.drawn()`."""
    rows = by_depth(report)
    if not rows:
        return None
    figure, (axes,) = panels(1, palette, 5.8, height_for(len(rows)))
    buckets = sorted({(depth.lo, depth.hi) for depths in rows.values() for depth in depths})
    axes.set_xticks(range(len(buckets)), [f"{lo:,}–{hi:,}" for lo, hi in buckets])
    axes.set_xlabel("tokens before it in its context", color=palette.ink)
    axes.set_ylabel("mean KL divergence, nats", color=palette.ink)
    for number, depths in enumerate(rows.values()):
        dodge = (number - (len(rows) - 1) / 2) * 0.05
        _line(axes, depths, buckets, dodge, palette.lines[number % len(palette.lines)])
    lows = [depth.kld.lo or depth.kld.value for depths in rows.values() for depth in depths]
    highs = [depth.kld.hi or depth.kld.value for depths in rows.values() for depth in depths]
    axes.set_ylim(min(lows) / 1.3, max(highs) * 1.3)
    log_scale(axes)
    _names(axes, rows, palette)
    return figure


def _drawable(depths: Sequence[Depth]) -> tuple[Depth, ...]:
    return tuple(depth for depth in depths if depth.kld.value > 0)


def _line(axes: "Axes", depths: Sequence[Depth], buckets: Sequence[tuple[int, int]], dodge: float, colour: str) -> None:
    xs = [buckets.index((depth.lo, depth.hi)) + dodge for depth in depths]
    ys = [depth.kld.value for depth in depths]
    below = [depth.kld.value - (depth.kld.lo or depth.kld.value) for depth in depths]
    above = [(depth.kld.hi or depth.kld.value) - depth.kld.value for depth in depths]
    axes.errorbar(
        xs, ys, yerr=[below, above], color=colour, marker="o", markersize=4, linewidth=1.4, elinewidth=1, capsize=2
    )


def _names(axes: "Axes", rows: Mapping[str, Sequence[Depth]], palette: Palette) -> None:
    """At the right end of the lines, apart from each other."""
    bottom, top = axes.get_ylim()
    height = axes.get_window_extent().height * 72 / (axes.figure.dpi or 100)  # points
    ends = [depths[-1].kld.value for depths in rows.values()]
    wanted = [math.log(end / bottom) / math.log(top / bottom) * height for end in ends]
    for number, (name, place) in enumerate(zip(rows, apart(wanted, LINE), strict=True)):
        axes.annotate(
            label(name), (1, place / height), xycoords="axes fraction", xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=SMALL, color=palette.lines[number % len(palette.lines)], annotation_clip=False,
        )  # fmt: skip
