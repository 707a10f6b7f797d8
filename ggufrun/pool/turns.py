"""Whose turn it is among those who take only what is spare, where their models have one place between them

Each says what it wishes for while something waits for it. What waited when a model came, or when another was first
wished for, is answered before it goes; and it stays for a multiple of the time that its loading took.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ggufrun.pool.stay import Stay

_STAYS: Final = 4.0  # times as long as it was loaded: so a fifth of the time, at most, goes into loading


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """For models, any of which may be the one that is used; `since` is when the first that waits came (monotonic)."""

    names: frozenset[str]
    since: float


class Turns:
    def __init__(self) -> None:
        self._wishes: list[Wish] = []

    @contextmanager
    def wish(self, names: frozenset[str], since: float) -> Iterator[None]:
        wish = Wish(names, since)
        self._wishes.append(wish)
        try:
            yield
        finally:
            self._wishes.remove(wish)

    def others(self, name: str) -> set[str]:
        """What those wish for who do not wish for this one."""
        return {other for wish in self._wishes if name not in wish.names for other in wish.names}

    def over(self, stay: Stay, name: str) -> bool:
        """Whether the turn of a loaded model is over, as far as those know who wish for the one called `name`."""
        return any(self._over(stay, wish) for wish in self._wishes if name in wish.names)

    def _over(self, stay: Stay, for_it: Wish) -> bool:
        if time.monotonic() < stay.opened_at + _STAYS * stay.load_s:
            return False
        waits = [wish.since for wish in self._wishes if stay.info.name in wish.names and wish is not for_it]
        return not waits or min(waits) > max(stay.opened_at, for_it.since)
