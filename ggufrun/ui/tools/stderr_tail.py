"""The last of what a program writes on its standard error: kept for when it fails, and shown to nobody else."""

import os
import threading
from typing import Final, TextIO

_KEPT: Final = 4000


class Tail:
    """Give `end` to the program, and close it when it has started. A thread reads until the last writer is gone."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.end: TextIO = os.fdopen(writing, "w")
        self._kept = b""
        threading.Thread(target=self._read, args=(reading,), name="mcp-stderr", daemon=True).start()

    def last(self) -> str:
        """Its last line that says something."""
        lines = self._kept.decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb", 0) as pipe:
            while read := pipe.read(_KEPT):
                self._kept = (self._kept + read)[-_KEPT:]
