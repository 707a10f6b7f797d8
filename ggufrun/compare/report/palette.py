"""The colours of the pictures: real ones in files, the page's own variables in the page, be it light or dark"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Palette:
    """`lines` are for rows, in turn."""

    ink: str
    quiet: str  # what is read second
    grid: str
    accent: str  # the front
    lines: tuple[str, ...]


# The lines are told apart by those who see few colours, too (Okabe and Ito); report.css has them for a dark page.
PAPER: Final = Palette(
    ink="#1c1c1f",
    quiet="#65656f",
    grid="#dcdce0",
    accent="#c2410c",
    lines=("#0072b2", "#c25100", "#00805c", "#b3578d", "#7a6c00", "#2b88bd", "#7050ba", "#7f4d42"),
)
# Nobody draws in these: each stands for a variable until the SVG is put into the page.
MARKED: Final = Palette(
    ink="#010a01",
    quiet="#010a02",
    grid="#010a03",
    accent="#010a04",
    lines=tuple(f"#010b{number:02x}" for number in range(len(PAPER.lines))),
)


def for_page(svg: str) -> str:
    """An SVG drawn with MARKED, in the page's variables."""
    variables = {MARKED.ink: "currentColor", MARKED.quiet: "var(--quiet)", MARKED.grid: "var(--line)"}
    variables |= {MARKED.accent: "var(--accent)"}
    variables |= {colour: f"var(--row-{number})" for number, colour in enumerate(MARKED.lines)}
    for colour, variable in variables.items():
        svg = svg.replace(colour, variable)
    return svg
