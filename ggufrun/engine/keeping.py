"""How long finished sequences stay in the KV cache where they slow down what runs: until they cost what they save.

What was dropped too soon comes back as a request. Then everything stays twice as long, until that proves needless.
"""

from collections import deque
from typing import Final

REMEMBERED: Final = 32  # dropped sequences whose return would be noticed
LONGEST: Final = 1 << 10  # times as long as without any return: as good as for ever
WORTH: Final = 128  # tokens; computing fewer again is nothing to learn from


class Keeping:
    """Counts rows of computation: its clock, since what a kept cell costs is paid with each row."""

    def __init__(self) -> None:
        self.rows = 0
        self._patience = 1
        self._dropped: deque[list[int]] = deque()

    def is_over(self, since: int, keep_rows: int) -> bool:
        """Whether a sequence that nobody used since the clock stood at `since` has had its time."""
        return self.rows - since > keep_rows * self._patience

    def drop(self, tokens: list[int]) -> None:
        """A sequence of `tokens` goes because its time was over."""
        self._dropped.append(tokens)
        if len(self._dropped) > REMEMBERED:  # it never came back
            self._dropped.popleft()
            self._patience = max(1, self._patience // 2)

    def come(self, tokens: list[int], reused: int) -> None:
        """A request of `tokens` begins, and finds `reused` of them held."""
        returned = [old for old in self._dropped if common(old, tokens) - reused >= WORTH]
        if returned:
            self._patience = min(LONGEST, 2 * self._patience)
            self._dropped = deque(old for old in self._dropped if old not in returned)


def common(left: list[int], right: list[int]) -> int:
    """How many leading tokens are the same."""
    least, most = 0, min(len(left), len(right))
    while least < most:
        middle = (least + most + 1) // 2
        if left[least:middle] == right[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least
