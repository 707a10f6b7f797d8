"""All pictures of a report: files with colours and a title of their own, and SVG for the page, light or dark"""

from dataclasses import dataclass

from ggufrun.compare.report.depth_picture import depth_picture
from ggufrun.compare.report.drawing import drawn, label, png, svg, svg_file
from ggufrun.compare.report.palette import MARKED, PAPER, for_page
from ggufrun.compare.report.pareto import pareto
from ggufrun.compare.report.points import costs
from ggufrun.compare.results import Report


@dataclass(frozen=True, slots=True)
class Pictures:
    """`files`: by their names. `panels` and `depth` are for the page, which puts them where there is room."""

    files: dict[str, bytes]
    panels: tuple[tuple[str, str], ...]  # what it costs, SVG
    depth: str | None


def pictures(report: Report) -> Pictures:
    """What cannot be drawn is left out: nothing was measured yet, or all of it is 0."""
    with drawn():
        depth = depth_picture(report, MARKED)
        panels = tuple(
            (cost.key, for_page(svg(figure)))
            for cost in costs(report)
            if (figure := pareto(report, MARKED, [cost])) is not None
        )
        return Pictures(_files(report), panels, for_page(svg(depth)) if depth is not None else None)


def _files(report: Report) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, draw in (("pareto", pareto), ("depth", depth_picture)):
        figure = draw(report, PAPER)
        if figure is not None:
            title = f"{label(report.title, 60)}, against {label(report.reference)}"
            figure.suptitle(title, x=0.01, ha="left", color=PAPER.ink, fontsize="large")
            files[f"{name}.svg"] = svg_file(figure)
            files[f"{name}.png"] = png(figure)
    return files
