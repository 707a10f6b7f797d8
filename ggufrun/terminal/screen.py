"""Shows an answer while it comes: the text on one stream, everything beside it (progress, thinking) on another."""

from typing import TextIO

from ggufrun.chat.types import PromptProcessed
from ggufrun.terminal.progress import ProgressLine
from ggufrun.terminal.style import Style

LONG_PROMPT = 128  # tokens to compute, from which on progress is worth a line


class StreamScreen:
    """`out` takes the answer (`None`: nowhere); `aside` the rest, and only if it is a terminal."""

    def __init__(self, out: TextIO | None, out_style: Style, aside: TextIO, aside_style: Style) -> None:
        self._out, self._out_style = out, out_style
        self._aside, self._aside_style = aside, aside_style
        self._progress = ProgressLine(aside, aside_style.tty)
        self._thinking = False
        self._open_line = False

    def prompt_progress(self, event: PromptProcessed) -> None:
        if event.total - event.cached < LONG_PROMPT:
            return
        if event.done >= event.total:
            self._progress.clear()
        else:
            self._progress.show(event.done / event.total, f"reading the prompt, {event.done} of {event.total} tokens")

    def thinking(self, text: str) -> None:
        self._progress.clear()
        if not self._aside_style.tty:
            return
        shown = self._aside_style.printable(text)
        if not self._thinking:
            self._thinking = True
            shown = shown if self._aside_style.colour else f"[thinking] {shown}"
        self._aside.write(self._aside_style.dim(shown))
        self._aside.flush()

    def text(self, text: str) -> None:
        self._progress.clear()
        self._end_thinking()
        if self._out is None or not text:
            return
        self._out.write(self._out_style.printable(text))
        self._out.flush()
        self._open_line = not text.endswith("\n")

    def end(self, *, newline: bool = True) -> None:
        """End the answer: with `newline`, what follows starts on a line of its own."""
        self._progress.clear()
        self._end_thinking()
        if newline and self._out is not None and self._open_line:
            self._out.write("\n")
            self._out.flush()
        self._open_line = False

    def _end_thinking(self) -> None:
        if self._thinking:
            self._aside.write("\n\n")
            self._aside.flush()
        self._thinking = False
