"""How text looks on a terminal: dim where there are colours, and never an escape code that the model wrote."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

# C0 without tab and newline, DEL, and C1: a model that writes these could drive the terminal.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Style:
    """What one output stream can show."""

    tty: bool
    colour: bool

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str]) -> "Style":
        """Plain where the stream is no terminal, NO_COLOR is set (https://no-color.org) or TERM is dumb."""
        tty = stream.isatty()
        colour = tty and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        if colour and os.name == "nt":
            os.system("")  # switches the console to understanding escape codes
        return cls(tty, colour)

    def dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[22m" if self.colour and text else text

    def printable(self, text: str) -> str:
        """The text as it may go to this stream: control characters become U+FFFD on a terminal."""
        return _CONTROL.sub("\ufffd", text) if self.tty else text
