"""How fast downloads come, from how far they were at times: over the last seconds, so that a figure can be read."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_SECONDS: Final = 5.0
_LEAST_S: Final = 0.9  # less says nothing


@dataclass(slots=True)
class Pace:
    _seen: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)

    def add(self, at: float, done: Mapping[str, int]) -> None:
        """`done`: bytes of each job that is under way; others are forgotten."""
        self._seen = {id: self._seen.get(id, deque()) for id in done}
        for id, bytes in done.items():
            seen = self._seen[id]
            if seen and bytes < seen[-1][1]:  # another file's bytes, or begun anew
                seen.clear()
            seen.append((at, bytes))
            while len(seen) > 2 and seen[1][0] <= at - _SECONDS:
                seen.popleft()

    def speed(self, id: str) -> float | None:
        """Bytes a second; None: not known yet."""
        seen = self._seen.get(id)
        if not seen or seen[-1][0] - seen[0][0] < _LEAST_S:
            return None
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
