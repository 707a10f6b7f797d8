"""Ends a worker whose step does not come to its end: a machine that it computes with over the network has stalled.

How long a step may take is `patience`'s. Not for steps on this machine alone, which end whatever else happens.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ggufrun.engine.patience import Patience

if sys.platform != "win32":
    import resource

EXIT_STALLED: Final = 6
_WORKS: Final = 0.2  # of a core: less is only the waiting


class Watchdog:
    """`least_s`: no step is given up sooner. `stalled` is told of it, in seconds, on a thread of ours."""

    def __init__(self, least_s: float, stalled: Callable[[float], None]) -> None:
        self._stalled = stalled
        self._look_s = min(1.0, least_s / 4)
        self._patience = Patience(least_s, self._look_s)
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def step(self) -> Iterator[None]:
        with self._lock:
            self._patience.begin(time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                self._patience.end(time.monotonic())

    def rows(self, count: int, answered: bool) -> None:
        """So many are computed now in this step; `answered`: and something of them is read."""
        with self._lock:
            self._patience.rows(count, answered, time.monotonic())

    def alive(self) -> None:
        """Something has come of the step: its time begins anew."""
        with self._lock:
            self._patience.alive(time.monotonic())

    def _watch(self) -> None:
        before, work = time.monotonic(), _work()
        while True:
            time.sleep(self._look_s)
            now, done = time.monotonic(), _work()
            worked = done[0] - work[0] > _WORKS * self._look_s or done[1] > work[1]
            with self._lock:
                if self._patience.look(now, now - before, worked):
                    self._stalled(self._patience.limit_s)
                    return
            before, work = now, done


def end_process(tell: Callable[[str], None], outside: str) -> Callable[[float], None]:
    """For `stalled`: say why, and end this process at once, whatever native code waits for."""

    def stalled(seconds: float) -> None:
        try:
            tell(f"no step came to its end in {seconds:.0f} s: the RPC worker {outside} has stalled")
        finally:
            os._exit(EXIT_STALLED)

    return stalled


def _work() -> tuple[float, int]:
    """What this process has done: seconds of a core, and reads from its disk for memory that is mapped."""
    faults = 0 if sys.platform == "win32" else resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    return time.process_time(), faults
