"""Columns of text for a terminal: as wide as their widest cell, and without what a terminal would obey."""

from collections.abc import Sequence


def lines(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """One line for each row, the head first. `numbers`: all columns but the first stand to the right."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    sides = [str.ljust, *[str.rjust if numbers else str.ljust] * (len(widths) - 1)]
    return [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in shown
    ]


def printable(text: str) -> str:
    """Names come from outside, and may hold escape codes."""
    return "".join(char if char.isprintable() else "?" for char in text)
