"""The server's log on standard error, written by a thread: a terminal that is held (Ctrl-S) must not hold us."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

WAITING: Final = 10_000  # lines; more are dropped while nobody takes them
END_S: Final = 1.0
_OURS: Final = ("ggufrun.access", "ggufrun.prompts")  # of the rest, warnings and worse


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    """Write what is logged to `stream`, each line with its time (UTC)."""
    handler = _Handler(stream)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


class _Handler(logging.Handler):
    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        with self._changed:
            if len(self._lines) < WAITING:
                self._lines.append(line)
            else:
                self._dropped += 1
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(END_S)
        super().close()

    def _run(self) -> None:
        while lines := self._next():
            try:
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
            except (OSError, ValueError):  # whoever read it is gone; the server goes on
                continue

    def _next(self) -> list[str]:
        """What waits, once there is something; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._ending)
            lines = list(self._lines)
            self._lines.clear()
            if self._dropped:
                lines.append(f"({self._dropped} lines were dropped: nobody took them)")
                self._dropped = 0
            return lines
