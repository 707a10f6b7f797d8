"""Tries to log in, counted by the address that they come from: after a few wrong ones, each further one has to wait.

A try counts before anybody knows what it is worth: many at once are many. A right key takes it back.
"""

import time
from collections.abc import Callable
from math import ceil
from typing import Final

FREE: Final = 5
LONGEST_S: Final = 30.0
FORGOTTEN_S: Final = 300.0
_MOST: Final = 1000


class Tries:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}  # how many, and when the last was; oldest last try first

    def wait_s(self, client: str) -> int:
        """Seconds until this one may try again."""
        number, last = self._wrong.get(client, (0, 0.0))
        pause = 0.0 if number < FREE else min(LONGEST_S, 2.0 ** (number - FREE))
        return max(0, ceil(last + pause - self._clock()))

    def begin(self, client: str) -> None:
        """One more, wrong as far as is known."""
        now = self._clock()
        number, last = self._wrong.pop(client, (0, 0.0))
        while len(self._wrong) >= _MOST:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[client] = (1 if now - last > FORGOTTEN_S else number + 1, now)

    def right(self, client: str) -> None:
        """Forget this one's wrong tries."""
        self._wrong.pop(client, None)

    def untold(self, client: str) -> None:
        """Nobody could say what the last one was worth."""
        number, last = self._wrong.get(client, (0, 0.0))
        if number:
            self._wrong[client] = number - 1, last
