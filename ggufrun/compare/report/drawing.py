"""matplotlib's figures as SVG and PNG: without its global state, with text as text, and nothing of it obeyed

matplotlib is imported here, when the first picture is drawn: it takes a second.
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ggufrun.compare.report.palette import Palette
from ggufrun.compare.report.words import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI: Final = 160
SMALL: Final = 10.0  # points
LINE: Final = SMALL + 2  # from a name to the next
_SETTINGS: Final[Any] = {  # matplotlib types its names, in some versions
    "svg.fonttype": "none",  # text stays text: it is found, read aloud, and in the reader's font
    "svg.hashsalt": "ggufrun",  # the same picture has the same names in it
    "font.family": ["system-ui", "DejaVu Sans", "sans-serif"],
    "font.size": SMALL,
    "text.parse_math": False,  # names may hold dollar signs
    "axes.unicode_minus": False,
}


@contextmanager
def drawn() -> Iterator[None]:
    """Figures are made and written inside. A letter or a font that is missing is no news for a user."""
    import logging

    import matplotlib

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    with warnings.catch_warnings(), matplotlib.rc_context(_SETTINGS):
        warnings.simplefilter("ignore", UserWarning)
        fonts.setLevel(logging.ERROR)
        try:
            yield
        finally:
            fonts.setLevel(level)


def height_for(names: int) -> float:
    """Inches of a panel on which so many have room, one below the other, beside its axis and title."""
    return max(3.8, (names + 7) * LINE / 72)


def panels(count: int, palette: Palette, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    """So many axes side by side, each of this size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, height), layout="constrained")
    axes = [figure.add_subplot(1, count, number + 1) for number in range(count)]
    for each in axes:
        each.patch.set_visible(False)
        each.tick_params(which="both", color=palette.grid, labelcolor=palette.ink, length=3)
        each.grid(True, which="major", color=palette.grid, linewidth=0.6)
        each.set_axisbelow(True)
        for side, spine in each.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(palette.grid)
    return figure, axes


def log_scale(axes: "Axes") -> None:
    """Upwards, with 0.02 and 0.05 told as well where there is room for them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    bottom, top = axes.get_ylim()
    axes.set_yscale("log")
    axes.set_ylim(bottom, top)
    subs = (1, 2, 5) if top / bottom < 2000 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:f}".rstrip("0").rstrip(".")))
    axes.yaxis.set_minor_formatter(NullFormatter())


def label(text: str, most: int = 32) -> str:
    """A name in a picture: short, and of letters."""
    return shortened(printable(text), most)


def svg(figure: "Figure") -> str:
    """For a page: from `<svg` on, with nothing behind it."""
    text = _svg(figure, transparent=True)
    return text[text.index("<svg") :]


def svg_file(figure: "Figure") -> bytes:
    """On white, and nothing in it points to another place."""
    text = _svg(figure, facecolor="white")
    return ('<?xml version="1.0" encoding="utf-8"?>\n' + text[text.index("<svg") :]).encode()


def _svg(figure: "Figure", **look: Any) -> str:
    file = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(file, format="svg", metadata=nothing, **look)
    return file.getvalue()


def png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor="white")
    return file.getvalue()


def apart(places: Sequence[float], least: float) -> list[float]:
    """The same places in the same order, moved no further than needed so that neighbours are `least` apart."""
    order = sorted(range(len(places)), key=lambda number: places[number])
    groups: list[list[float]] = []  # middle, members
    for number in order:
        groups.append([places[number], 1])
        while len(groups) > 1 and _bottom(groups[-1], least) - _top(groups[-2], least) < least:
            upper, lower = groups.pop(), groups.pop()
            members = upper[1] + lower[1]
            groups.append([(upper[0] * upper[1] + lower[0] * lower[1]) / members, members])
    moved = [_bottom(group, least) + number * least for group in groups for number in range(int(group[1]))]
    found = [0.0] * len(places)
    for number, place in zip(order, moved, strict=True):
        found[number] = place
    return found


def _bottom(group: list[float], least: float) -> float:
    return group[0] - (group[1] - 1) * least / 2


def _top(group: list[float], least: float) -> float:
    return group[0] + (group[1] - 1) * least / 2
