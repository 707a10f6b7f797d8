"""The Pareto picture: what a row costs against how far it is from the reference, on a log axis, with intervals"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ggufrun.compare.report.drawing import SMALL, height_for, log_scale, panels
from ggufrun.compare.report.palette import Palette
from ggufrun.compare.report.point_names import by_file, write_names
from ggufrun.compare.report.points import Cost, Point, costs, front, points
from ggufrun.compare.results import Figure, Report
from ggufrun.figures import nats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

_LEGEND: Final = "in colour: nothing else is both cheaper and closer"
_SHAPES: Final = "osD^vP"  # by the type of the KV cache


def pareto(report: Report, palette: Palette, of: Sequence[Cost] | None = None) -> "Picture | None":
    """A panel for each cost, side by side. None where there is nothing to draw. Inside `drawing.drawn()`."""
    chosen = costs(report) if of is None else of
    if not chosen:
        return None
    names = max(len(by_file(points(report, cost))) for cost in chosen)
    figure, axes = panels(len(chosen), palette, 5.0, height_for(names))
    for place, cost in zip(axes, chosen, strict=True):
        _panel(place, report, cost, palette)
    axes[0].set_ylabel("mean KL divergence, nats", color=palette.ink)
    return figure


def _panel(axes: "Axes", report: Report, cost: Cost, palette: Palette) -> None:
    found = points(report, cost)
    above = [point for point in found if point.y.value > 0]
    axes.set_xlabel(cost.label, color=palette.ink)
    axes.set_title(_LEGEND, loc="left", color=palette.accent, fontsize=SMALL - 1)
    _limits(axes, found, above, report.noise)
    log_scale(axes)
    _noise(axes, report.noise, palette)
    best = front(found)
    _front(axes, best, palette)
    kinds = list(dict.fromkeys(point.kv_type for point in found))
    _files(axes, above, palette)
    for point in found:
        shape = _SHAPES[kinds.index(point.kv_type) % len(_SHAPES)]
        _point(axes, point, shape, palette.accent if point in best else palette.ink, palette)
    if any(point.name != point.file for point in found):
        _shapes(axes, kinds, palette)
    write_names(axes, found, palette)


def _limits(axes: "Axes", found: Sequence[Point], above: Sequence[Point], noise: float | None) -> None:
    """Room for names at the sides, and for what is 0 below all else."""
    lows = [point.y.lo or point.y.value for point in above] or [1e-3]
    highs = [point.y.hi or point.y.value for point in above] or [1e-1]
    lows += [noise] if noise and above and noise > min(lows) / 100 else []
    axes.set_ylim(min(lows) / 3, max(highs) * 1.8)
    xs = [point.x.value for point in found]
    room = (max(xs) - min(xs)) * 0.14 or max(xs) * 0.1
    axes.set_xlim(min(xs) - room, max(xs) + room)


def _noise(axes: "Axes", noise: float | None, palette: Palette) -> None:
    bottom, top = axes.get_ylim()
    if noise is None or not bottom < noise < top:
        return
    axes.axhspan(bottom, noise, color=palette.quiet, alpha=0.12, linewidth=0)
    axes.axhline(noise, color=palette.quiet, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        f"noise {nats(noise)}: tied below", (1, noise), xycoords=("axes fraction", "data"), xytext=(-3, 3),
        textcoords="offset points", ha="right", fontsize=SMALL - 1.5, color=palette.quiet,
    )  # fmt: skip


def _front(axes: "Axes", best: Sequence[Point], palette: Palette) -> None:
    """What can be had for at most so much: steps, since there is nothing between two rows."""
    if len(best) > 1:
        xs, ys = [point.x.value for point in best], [point.y.value for point in best]
        axes.step(xs, ys, where="post", color=palette.accent, linewidth=1.1, alpha=0.6)


def _files(axes: "Axes", above: Sequence[Point], palette: Palette) -> None:
    """A thin line from point to point of the same file, which share a name."""
    for joined in by_file(above):
        xs, ys = [point.x.value for point in joined], [point.y.value for point in joined]
        axes.plot(xs, ys, color=palette.quiet, linewidth=0.8, linestyle=(0, (1, 2)))


def _shapes(axes: "Axes", kinds: Sequence[str], palette: Palette) -> None:
    """In the corner of what costs much and loses much, where hardly anything is."""
    shown = [
        axes.plot([], [], _SHAPES[number % len(_SHAPES)], color=palette.quiet, markersize=5.5, label=f"KV {kind}")[0]
        for number, kind in enumerate(kinds)
    ]
    axes.legend(handles=shown, loc="upper right", frameon=False, fontsize=SMALL - 1, labelcolor=palette.ink)


def _point(axes: "Axes", point: Point, shape: str, colour: str, palette: Palette) -> None:
    if point.y.value <= 0:  # 0 has no place on this axis: it stands on the edge
        axes.plot(
            [point.x.value], [0.012], marker="v", color=palette.quiet, markersize=7, clip_on=False,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
        return
    axes.errorbar(
        [point.x.value], [point.y.value], xerr=_ends(point.x), yerr=_ends(point.y), fmt=shape, color=colour,
        markersize=5.5, elinewidth=1, capsize=2, capthick=1,
    )  # fmt: skip


def _ends(figure: Figure) -> list[list[float]] | None:
    if figure.lo is None or figure.hi is None:
        return None
    return [[max(figure.value - figure.lo, 0)], [max(figure.hi - figure.value, 0)]]
