"""Texts given along with a grammar, worth a try where nothing leads out of a JSON string.

What they mean is known to those who gave them. Here each is only tried, which takes about a microsecond a token.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from llguidance import LLMatcher, LLTokenizer

_LONGEST: Final = 64  # characters of a rest
_TRIES: Final = 400  # rests of all texts, at one place


class Hints:
    """One grammar's hints, each the whole text between a string's quotes, as it is written in JSON."""

    def __init__(self, texts: Sequence[str], tokenizer: LLTokenizer) -> None:
        self.texts = tuple(texts)
        self._tokenizer = tokenizer
        self._quote = tokenizer.greedy_tokenize('"')
        self._tokens: dict[str, list[int]] = {}
        self.tried = 0  # tokens, in all tries
        self.rests = tuple(sorted({rest for text in self.texts for rest in _rests(text)}, key=len)[:_TRIES])

    def whole(self, matcher: LLMatcher, last: int) -> int | None:
        """The first hint with which the string can end here, looked for from the `last` one that could onwards."""
        order = (*range(last, len(self.texts)), *range(last))
        return next((index for index in order if self._ends(self.texts[index], matcher)), None)

    def least(self, index: int, matcher: LLMatcher) -> list[int]:
        """As little of a hint that fits as will do: its beginning may be written already."""
        return self._first(_rests(self.texts[index]), matcher) or self._line(self.texts[index])

    def rest(self, matcher: LLMatcher) -> list[int]:
        """The shortest rest of any hint with which the string can end here; [] where there is none."""
        return self._first(self.rests, matcher)

    def _first(self, texts: Iterable[str], matcher: LLMatcher) -> list[int]:
        return next((self._line(text) for text in texts if self._ends(text, matcher)), [])

    def _ends(self, text: str, matcher: LLMatcher) -> bool:
        line = [*self._line(text), *self._quote]
        valid = matcher.validate_tokens(line)
        self.tried += valid + 1
        return valid == len(line)

    def _line(self, text: str) -> list[int]:
        if text not in self._tokens:
            self._tokens[text] = self._tokenizer.greedy_tokenize(text)
        return self._tokens[text]


def _rests(text: str) -> Iterable[str]:
    return (text[-size:] for size in range(1, min(_LONGEST + 1, len(text))))
