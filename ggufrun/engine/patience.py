"""How long computing with other machines may take before they count as stalled: learned from what rows have taken.

Only the counting, with the time as an argument; the thread that looks at it is in `watchdog`.

llama.cpp sends rows to a worker and goes on: only where an output is read does it wait, then for all that was sent
before. So rows are owed until there is an answer, and what they took is known only then.
"""

from typing import Final

_TIMES: Final = 10  # rows may take so many times as long as the slowest ones did: a long context, other programs
_UNSEEN: Final = 10  # of what nothing is known yet may take so many times `least_s`
_UNSEEN_ROW_S: Final = 2.0  # or so long for each row, where that is more: of a large model on a slow processor
_WORKING: Final = 0.1  # of the time in which this process itself works counts so much: it is no wait


class Patience:
    """`least_s`: nothing is given up sooner. `look_s`: how often `look` is called, about."""

    def __init__(self, least_s: float, look_s: float) -> None:
        self._least_s, self._look_s = least_s, look_s
        self._since: float | None = None  # of the wait that goes on
        self._passed = self._waited = 0.0  # seconds since then that were seen to pass, and those that count
        self._told = self._answered = False  # of the rows of this wait
        self._owed = 0  # rows whose answer is still to come
        self._spent = 0.0  # seconds that were spent on them in waits before this one
        self._slowest: float | None = None  # seconds a row

    def begin(self, now: float) -> None:
        self._told = self._answered = False
        self._start(now)

    def rows(self, count: int, answered: bool, now: float) -> None:
        """So many rows are computed from now on. `answered`: some have outputs, which are read before the end."""
        self._settle(now)
        self._owed += count
        self._told, self._answered = True, answered
        self._start(now)

    def alive(self, now: float) -> None:
        """Something has come: the time begins anew."""
        if self._since is not None:
            self._start(now)

    def end(self, now: float) -> None:
        self._settle(now)
        self._since = None

    def look(self, now: float, passed: float, worked: bool) -> bool:
        """Whether it has stalled, `passed` seconds after the look before.

        `worked`: this process computed or read its disk meanwhile. A look that comes late says that nobody could work:
        this machine was suspended, or others had the processors. Of that time no more counts than of any other look.
        """
        if self._since is None:
            return False
        passed = min(passed, 2 * self._look_s, now - self._since)
        self._passed += passed
        self._waited += passed * (_WORKING if worked else 1.0)
        return self._waited > self.limit_s

    @property
    def limit_s(self) -> float:
        unseen = _UNSEEN * self._least_s
        if self._slowest is not None:
            learned = _TIMES * self._slowest * self._owed
            return max(self._least_s if self._told else unseen, learned)
        return max(unseen, _UNSEEN_ROW_S * self._owed)

    def _start(self, now: float) -> None:
        self._since, self._passed, self._waited = now, 0.0, 0.0

    def _settle(self, now: float) -> None:
        """Learn from the wait that ends, if it told anything."""
        if self._since is None or not self._owed:
            return
        self._spent += min(now - self._since, self._passed + 2 * self._look_s)
        if self._answered:
            self._slowest = max(self._slowest or 0.0, self._spent / self._owed)
            self._owed, self._spent, self._answered = 0, 0.0, False
