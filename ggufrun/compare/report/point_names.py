"""The names beside the points of a Pareto picture: one for each file, apart from each other, inside the picture"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ggufrun.compare.report.drawing import LINE, SMALL, label
from ggufrun.compare.report.palette import Palette
from ggufrun.compare.report.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ABOVE: Final = 8  # points from a point up to the middle of its name
_TO_THE_RIGHT: Final = 0.62  # of the width: points further right have their names on their left


def by_file(found: Sequence[Point]) -> list[list[Point]]:
    """From the cheapest on. They share a name: the shapes tell their KV caches apart. What is 0 has one of its own."""
    files: dict[tuple[str, bool], list[Point]] = {}
    for point in sorted(found, key=lambda point: point.x.value):
        files.setdefault((point.file, point.y.value > 0), []).append(point)
    return list(files.values())


def write_names(axes: "Axes", found: Sequence[Point], palette: Palette) -> None:
    """Beside the points, on the side with more room, and moved apart where they would be on top of each other."""
    left, right = axes.get_xlim()
    sides: dict[bool, list[Point]] = {True: [], False: []}
    for cheapest, *_, dearest in (each * 2 for each in by_file(found)):
        has_room = dearest.x.value < left + (right - left) * _TO_THE_RIGHT
        sides[has_room].append(dearest if has_room else cheapest)
    height = axes.get_window_extent().height * 72 / (axes.figure.dpi or 100)  # points
    for to_the_right, members in sides.items():
        wanted = [_height(axes, point) * height for point in members]
        for point, at, place in zip(members, wanted, upwards(wanted, LINE, height - _ABOVE), strict=True):
            words = label(f"{point.file} = 0" if point.y.value <= 0 else point.file)
            axes.annotate(
                words, (point.x.value, at / height), xycoords=("data", "axes fraction"),
                xytext=(5 if to_the_right else -5, place - at + _ABOVE), textcoords="offset points", va="center",
                ha="left" if to_the_right else "right", fontsize=SMALL, color=palette.ink,
            )  # fmt: skip


def upwards(wanted: Sequence[float], least: float, top: float) -> list[float]:
    """The lowest stays where it is, and the next ones move up as far as they have to; down again from the top."""
    found = [0.0] * len(wanted)
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    free = -math.inf
    for number in order:
        found[number] = max(wanted[number], free)
        free = found[number] + least
    free = top
    for number in reversed(order):
        found[number] = min(found[number], free)
        free = found[number] - least
    return found


def _height(axes: "Axes", point: Point) -> float:
    """Of the axes' height."""
    if point.y.value <= 0:
        return 0.02
    bottom, top = axes.get_ylim()
    return math.log(point.y.value / bottom) / math.log(top / bottom)
