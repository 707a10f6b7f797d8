"""Tables for standard output, by rich: as wide as the terminal, and never cut where a file or a program reads them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ggufrun.commandline.table import printable

if TYPE_CHECKING:
    from rich.text import Text

_WIDE: Final = 400  # characters

Cell = str | tuple[str, str]  # the text, perhaps with a style of rich's


def print_grid(head: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Sequence[int] = ()) -> None:
    """`right`: the columns that stand to the right, by number. Cells may hold anything: nothing in them is obeyed."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, title in enumerate(head):
        table.add_column(title, justify="right" if number in right else "left", no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    console.print(table)


def _text(cell: Cell) -> "Text":
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(printable(text), style)
