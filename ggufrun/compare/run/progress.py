"""How far a comparison is, and how long it will take: learned from what is finished, kind by kind"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

Item = tuple[str, str]  # a row's name, and a kind of work

_GUESSED: Final = {  # seconds of one unit
    "load": 5e-10,
    "text": 8e-12,
    "chat": 8e-12,
    "write": 4e-11,
    "speed": 4e-11,
    "first token": 1.5e-8,
    "tools": 5e-8,
    "needle": 9e-12,
    "choices": 1e-11,
}
_OTHER: Final = 4e-11
_TOLD: Final = 0.2  # of a job: after that its own pace says more than what others took


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` from 0 to 1 never goes back. `left_s` is None while nobody can know."""

    done: float
    left_s: float | None
    doing: str
    row: str


OnProgress = Callable[[Progress], None]


class Tracker:
    """`units`: of each item how much it is, comparable within its kind: tokens times parameters, say.

    What an earlier run finished is no part of this one: the rest is 100 %.
    """

    def __init__(
        self, units: Mapping[Item, float], on_progress: OnProgress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._units, self._on_progress, self._clock = dict(units), on_progress, clock
        self._left = dict.fromkeys(units)  # an ordered set
        self._seconds: dict[str, float] = defaultdict(float)
        self._learned: dict[str, float] = defaultdict(float)  # units that took them
        self._began, self._doing, self._fraction = clock(), ("", ""), 0.0
        self._done = 0.0

    def skip(self, item: Item, seconds: float | None = None) -> None:
        """It was finished before, or will never be. `seconds`: what it took then, to learn from."""
        if item not in self._left:
            return
        if seconds is not None:
            self._learn(item, seconds)
        del self._left[item], self._units[item]

    def begin(self, item: Item, said: str = "") -> None:
        self._began, self._doing, self._fraction = self._clock(), item, 0.0
        self._tell(said)

    def partly(self, fraction: float, said: str = "") -> None:
        self._fraction = fraction
        self._tell(said)

    def finish(self, item: Item, seconds: float | None = None) -> None:
        """Without `seconds` what went by since it began."""
        if item in self._left:
            self._learn(item, self._clock() - self._began if seconds is None else seconds)
            del self._left[item]
        self._fraction = 0.0

    def skip_row(self, row: str) -> None:
        for item in [item for item in self._left if item[0] == row]:
            self.skip(item)

    @property
    def left_s(self) -> float | None:
        """None while some kind of what is left was never seen."""
        if any(not self._learned[kind] for _, kind in self._left if (_, kind) != self._doing):
            return None
        return sum(map(self._expected, self._left))

    def _learn(self, item: Item, seconds: float) -> None:
        self._seconds[item[1]] += seconds
        self._learned[item[1]] += self._units[item]

    def _tell(self, said: str) -> None:
        row, kind = self._doing
        whole = sum(self._units[item] * self._rate(item[1]) for item in self._units)
        left = sum(map(self._expected, self._left))
        self._done = max(self._done, min(1.0, 1 - left / whole if whole else 1.0))
        self._on_progress(Progress(self._done, self.left_s, said or kind, row))

    def _expected(self, item: Item) -> float:
        """Seconds that it will still take."""
        usual = self._units[item] * self._rate(item[1])
        if item != self._doing:
            return usual
        gone = self._clock() - self._began
        if self._fraction >= _TOLD:
            return gone * (1 - self._fraction) / self._fraction
        return max(usual * (1 - self._fraction), usual - gone)

    def _rate(self, kind: str) -> float:
        if self._learned[kind]:
            return self._seconds[kind] / self._learned[kind]
        return _GUESSED.get(kind, _OTHER)
