"""How long each key's answers usually are, and which one is far over that: a loop or a missing max_tokens costs most.

From memory only. An answer stands out where it is longer than all of
  - 1,000 tokens, since short answers cost nothing whatever they were before,
  - 8 times the median of the key's last 50 answers,
  - 4 times their 90th percentile: who asks for a long answer now and then is not told each time.
Before a key has 10 answers nothing is usual. Long answers count for the next ones too, so after five of them in fifty
they have become usual; answers that failed or were cut short do not count. Lengths that spread as widely as those of
mixed chats (log-normal, sigma 1) are warned of about once in 150 answers; the median alone would do it once in 50.
"""

from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import Final

KEPT: Final = 50
ENOUGH: Final = 10
LEAST_TOKENS: Final = 1000
TIMES_MEDIAN: Final = 8
TIMES_P90: Final = 4


class UsualAnswers:
    """`recent`: keys and completion tokens of earlier answers, oldest first."""

    def __init__(self, recent: Iterable[tuple[str, int]] = ()) -> None:
        self._known: dict[str, deque[int]] = {}
        for key, tokens in recent:
            self._of(key).append(tokens)

    def judge(self, key: str, tokens: int, *, whole: bool) -> str | None:
        """A warning about an answer that stands out; a `whole` one is part of what is usual from now on."""
        known = self._of(key)
        warning = self._warning(key, tokens, known) if tokens > LEAST_TOKENS and len(known) >= ENOUGH else None
        if whole and tokens:
            known.append(tokens)
        return warning

    def _of(self, key: str) -> deque[int]:
        return self._known.setdefault(key, deque(maxlen=KEPT))

    def _warning(self, key: str, tokens: int, known: deque[int]) -> str | None:
        usual, high = median(known), sorted(known)[(9 * len(known) - 1) // 10]
        if tokens <= TIMES_MEDIAN * usual or tokens <= TIMES_P90 * high:
            return None
        who = f"the key {key!r} usually gets" if key else "callers without a key usually get"
        return f"an answer of {tokens} tokens, where {who} {usual:.0f}. If that was not meant, set max_tokens."
