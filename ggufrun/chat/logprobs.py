"""Logprobs of the answer's text: made readable, and kept until the text that they belong to goes out."""

from collections import deque

from ggufrun.chat.types import Logprob
from ggufrun.engine.types import TokenLogprob
from ggufrun.engine.vocabulary import Vocabulary


def readable(vocabulary: Vocabulary, value: TokenLogprob) -> Logprob:
    """The engine's numbers with each token's text and bytes."""
    top = tuple(_one(vocabulary, token, logprob) for token, logprob in value.top)
    return _one(vocabulary, value.token, value.logprob, top, value.forced)


def _one(
    vocabulary: Vocabulary, token: int, logprob: float, top: tuple[Logprob, ...] = (), forced: bool = False
) -> Logprob:
    raw = vocabulary.piece(token)
    return Logprob(raw.decode("utf-8", "replace"), token, raw, logprob, top, forced)


class LogprobQueue:
    """Logprobs of tokens whose text is held back, each with the offset in the answer's text where its token begins."""

    __slots__ = ("_vocabulary", "_waiting")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()

    def add(self, offset: int, value: TokenLogprob) -> None:
        self._waiting.append((offset, value))

    def clear(self) -> None:
        """The waiting tokens turned out to be no text of the answer."""
        self._waiting.clear()

    def release(self, sent: int | None = None) -> tuple[Logprob, ...]:
        """Those whose text has begun to go out: `sent` characters have. None: all."""
        ready: list[Logprob] = []
        while self._waiting and (sent is None or self._waiting[0][0] < sent):
            ready.append(readable(self._vocabulary, self._waiting.popleft()[1]))
        return tuple(ready)
