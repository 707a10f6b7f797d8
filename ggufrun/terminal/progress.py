"""One updating line on a terminal (loading a model, reading a long prompt); silent anywhere else."""

import shutil
import time
from typing import TextIO

BAR = 24


class ProgressLine:
    """A line that is rewritten in place, ten times a second at most. Uses no escape codes, only carriage returns."""

    def __init__(self, stream: TextIO, tty: bool) -> None:
        self._stream, self._tty = stream, tty
        self._length = 0
        self._next = 0.0

    def show(self, fraction: float, label: str) -> None:
        """Show a bar for `fraction`, 0 to 1."""
        now = time.monotonic()
        if not self._tty or (now < self._next and fraction < 1):
            return
        self._next = now + 0.1
        full = round(BAR * min(max(fraction, 0.0), 1.0))
        text = f"{'█' * full}{'░' * (BAR - full)} {min(max(fraction, 0.0), 1.0):4.0%} {label}"
        self._write(text[: shutil.get_terminal_size().columns - 1])

    def clear(self) -> None:
        if self._length:
            self._write("")
            self._next = 0.0

    def _write(self, text: str) -> None:
        # Padded over what was there; the second return leaves the cursor where the next output starts.
        end = "" if text else "\r"
        try:
            self._stream.write("\r" + text.ljust(self._length) + end)
            self._stream.flush()
        except UnicodeEncodeError:
            self._stream.write("\r" + text.replace("█", "#").replace("░", "-").ljust(self._length) + end)
            self._stream.flush()
        self._length = len(text)
