"""The terminal of a blind test: two answers side by side, and a key for each vote. Names are not shown here"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TextIO

from prompt_toolkit.input import create_input
from prompt_toolkit.keys import Keys
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ggufrun.commandline.table import printable
from ggufrun.compare.blind.trial import BlindTest, Shown, Vote
from ggufrun.terminal.style import Style

_VOTES: Final[dict[str, Vote]] = {"l": "left", Keys.Left: "left", "r": "right", Keys.Right: "right", "t": "tie"}
_KEYS: Final = "l left is better · r right · t tie · u take the last vote back · q stop here"  # within 80
_OVER: Final = "That was the last one. u takes it back; any other key shows who is who."


def drop_typed() -> None:
    """What was typed while models answered is no vote on answers that nobody had seen."""
    terminal = create_input()
    with terminal.raw_mode():
        terminal.read_keys()


async def keys() -> AsyncGenerator[str, None]:
    """What is pressed from now on, letters in lower case; also what comes while something is written.

    Raises KeyboardInterrupt for Ctrl-C. Ctrl-D, and a terminal that is gone, are a q.
    """
    terminal, pressed = create_input(), asyncio.Queue[str]()

    def read() -> None:
        for each in terminal.read_keys():
            pressed.put_nowait(each.key)
        if terminal.closed:
            pressed.put_nowait("q")

    with terminal.raw_mode(), terminal.attach(read):
        while True:
            key = await pressed.get()
            if key == Keys.ControlC:
                raise KeyboardInterrupt
            yield "q" if key == Keys.ControlD else key.lower() if len(key) == 1 else key


class BlindScreen:
    def __init__(self, out: TextIO) -> None:
        colour = Style.of(out, os.environ).colour
        self._console = Console(file=out, highlight=False, markup=False, no_color=not colour)

    async def votes(self, test: BlindTest, keys: AsyncIterator[str]) -> AsyncGenerator[BlindTest, None]:
        """The test after each key that changes it, until there is nothing left to vote on, or the user stops."""
        if test.next() is None:
            return
        self._show(test)
        async for key in keys:
            if key == "q" or (test.next() is None and key != "u"):
                return
            if key == "u":
                test = test.undone()
            elif key in _VOTES:
                test = test.voted(_VOTES[key])
            else:
                continue
            yield test
            self._show(test)

    def _show(self, test: BlindTest) -> None:
        shown = test.next()
        if shown is None:
            self._console.print(Text(_OVER, "dim"))
        else:
            self._console.rule(Text(f"{shown.number} of {shown.of}", "dim"))
            self._console.print(Text(_said(shown.prompt), "bold"))
            self._console.print(_beside(shown))
            self._console.print(Text(_KEYS, "dim"))


def _beside(shown: Shown) -> Table:
    table = Table(expand=True)
    for side in ("left", "right"):
        table.add_column(side, ratio=1, overflow="fold")
    table.add_row(Text(_said(shown.left)), Text(_said(shown.right)))
    return table


def _said(text: str) -> str:
    """What a model wrote may hold escape codes."""
    return "\n".join(map(printable, text.strip().expandtabs(4).split("\n")))
