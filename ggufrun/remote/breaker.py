"""A circuit breaker: a remote that has failed several times in a row is left alone for a while, then tried once."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

from ggufrun.remote_errors import RemoteDown

_log = logging.getLogger(__name__)

FAILURES: Final = 5  # in a row
PAUSE_S: Final = (5.0, 60.0)  # the first one, and the longest: each is twice as long as the one before


class Breaker:
    """Of one remote, on one event loop. `clock` gives seconds."""

    def __init__(
        self,
        name: str,
        *,
        failures: int = FAILURES,
        pause_s: float = PAUSE_S[0],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._most, self._first_s, self._clock = name, failures, pause_s, clock
        self._failures = 0  # in a row
        self._pause_s = pause_s
        self._until: float | None = None  # None: closed
        self._trying = False  # half open, and somebody tries
        self._why = ""

    @property
    def note(self) -> str:
        """For whoever looks at the server: "" while all is well."""
        if self._until is None:
            return ""
        left = ceil(max(0.0, self._until - self._clock()))
        again = f"tried again in {left} s" if left else "the next request tries it again"
        return f"down: {self._why}; {again}"

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around one try, until something has come of it. Raises RemoteDown where none is to be made now.

        What became of it is told by `answered`, `succeeded` or `failed`; a try that was given up tells nothing.
        """
        trial = self._enter()
        try:
            yield
        finally:
            if trial:
                self._trying = False

    def answered(self) -> None:
        """It does answer: an open breaker closes, but failures are counted on until one answer is whole."""
        if self._until is not None:
            _log.info("remote %s answers again.", self._name)
            self._until, self._failures, self._pause_s = None, 0, self._first_s

    def succeeded(self) -> None:
        self.answered()
        self._failures = 0

    def failed(self, why: str) -> None:
        self._failures += 1
        self._why = why
        now = self._clock()
        if self._until is not None and now >= self._until:  # the trial
            self._pause_s = min(self._pause_s * 2, PAUSE_S[1])
            self._until = now + self._pause_s
        elif self._until is None and self._failures >= self._most:
            self._until = now + self._pause_s
            _log.warning(
                "remote %s failed %d times in a row (%s): left alone for a while.", self._name, self._failures, why
            )

    def _enter(self) -> bool:
        """Whether this is the one that tries a half-open one."""
        if self._until is None:
            return False
        left = self._until - self._clock()
        if left > 0 or self._trying:
            raise RemoteDown(self._name, self._why, max(1, ceil(left)))
        self._trying = True
        return True
