"""Which of a vocabulary's tokens close a JSON answer, and which are worth a try where nothing closes."""

import re
from typing import Final

import numpy as np
import numpy.typing as npt
from llguidance import LLTokenizer

Mask = npt.NDArray[np.int32]
Ids = npt.NDArray[np.int64]

_FEW: Final = 48  # allowed tokens that are listed in full
_SOME: Final = 6
_LONG: Final = 512
_SINGLE: Final = 100

# Each class's tokens are ranked longest first.
_CLASSES: Final = {
    "bracket": re.compile(rb"[\]}]+"),
    "quote": re.compile(rb'"[\]}]*'),
    "empty": re.compile(rb' ?""[\]}]*'),
    "edge": re.compile(rb' ?"[\]}]*'),  # a string's end, or the beginning of one that may not be empty
    "comma": re.compile(rb"[\]}]*, ?"),
    "quote_comma": re.compile(rb'"[\]}]*, ?'),
    "value": re.compile(rb" ?(?:\[\]|\{\}|[0-9]|null|true|false)[\]}]*"),
    "filler": re.compile(rb"([ \-.01])\1*"),  # what fills a length or a format
    "letter": re.compile(rb"[a-dg-mo-su-zA-DF-Z]"),  # outside a string only t, f, n and e can come
    "single": re.compile(rb"[!-/:-@\[-`{-~]"),
}
_MARKS: Final = b' []{}",'
_CORES: Final = {b"", b"null", b"true", b"false", *(str(digit).encode() for digit in range(10))}


def _relevant(piece: bytes) -> bool:
    """Whether a token may belong to one of the classes: quicker than asking them all."""
    return len(piece) == 1 or piece.strip(_MARKS) in _CORES or not piece.strip(piece[:1])


class ClosingTokens:
    """A vocabulary's closing tokens as one array, a span of it for each class. 0.1 s at 131,072 tokens."""

    def __init__(self, tokenizer: LLTokenizer) -> None:
        self.size = tokenizer.vocab_size
        ends = tokenizer.eos_tokens
        special = [token for token in range(self.size) if tokenizer.is_special_token(token)]
        pieces = [tokenizer.decode_bytes([token]) for token in range(self.size)]
        for token in special:
            pieces[token] = b""
        self.lengths = np.array([len(piece) for piece in pieces], dtype=np.int32)
        by_length: list[int] = np.argsort(-self.lengths, kind="stable").tolist()
        relevant = [token for token in by_length if _relevant(pieces[token])]
        classes = {kind: [t for t in relevant if form.fullmatch(pieces[t])] for kind, form in _CLASSES.items()}
        for kind, bracket in (("square", b"]"), ("curly", b"}")):  # a vocabulary may have several tokens for one byte
            classes[kind] = [token for token in classes["bracket"] if pieces[token] == bracket]
        classes["end"] = list(ends)
        classes["special"] = [token for token in special if token not in ends]
        classes["long"] = by_length[:_LONG]
        classes["short"] = [token for token in relevant if len(pieces[token]) == 1]
        self.spans: dict[str, tuple[int, int]] = {}
        ids: list[int] = []
        for kind, tokens in classes.items():
            self.spans[kind] = (len(ids), len(ids) + len(tokens))
            ids += tokens
        self.ids: Ids = np.array(ids, dtype=np.int64)
        self.words: Ids = self.ids >> 5
        self.shifts = (self.ids & 31).astype(np.int32)


class Allowed:
    """A mask, int32 [vocabulary / 32], seen through a vocabulary's closing tokens."""

    def __init__(self, tokens: ClosingTokens, mask: Mask) -> None:
        self._tokens, self._mask = tokens, mask
        self._flags = ((mask[tokens.words] >> tokens.shifts) & 1).astype(np.uint8).tobytes()

    def first(self, kind: str, most: int = 1) -> list[int]:
        """The first `most` allowed tokens of a class."""
        at, end = self._tokens.spans[kind]
        found: list[int] = []
        while len(found) < most and (at := self._flags.find(1, at, end)) >= 0:
            found.append(int(self._tokens.ids[at]))
            at += 1
        return found

    @property
    def end(self) -> bool:
        """Whether the answer may end here."""
        return bool(self.first("end"))

    @property
    def in_string(self) -> bool:
        """Whether brackets would be text here: no place outside a JSON string allows both, or allows any letter."""
        return bool(self.first("square") and self.first("curly")) or bool(self.first("letter"))

    def closing(self) -> list[int]:
        """Tokens that lead towards the end, the best one first."""
        if special := self.first("special"):
            return special
        if self.in_string:
            return self.first("quote") + self.first("quote_comma")
        return self.first("bracket") or (self.first("empty") or self.first("edge")) + self.first("comma")

    def branches(self) -> list[int]:
        """All tokens that may lead to the nearest end."""
        steps = self.closing() or self.worth_trying()
        if self.in_string or self.first("bracket") or self.first("special"):
            return steps
        return list(dict.fromkeys(steps + self.first("value", 2 * _SOME)))

    def likely(self) -> list[int]:
        """Where nothing closes: what most often gets to where something does."""
        return ([] if self.in_string else self.first("value")) or self.first("filler") or self.some()

    def worth_trying(self) -> list[int]:
        """Where nothing closes: short values, fillers, some of what else is allowed, punctuation, single characters."""
        tries = self.first("value", 2 * _SOME) + self.first("filler", _SOME) + self.some()
        return list(dict.fromkeys(tries + self.first("single", _SINGLE) + self.first("short", _SINGLE)))

    def some(self) -> list[int]:
        """All allowed tokens where they are few, longest first; else some of the longest and the shortest."""
        if longest := self.first("long", _SOME):
            return longest + self.first("short", _SOME)
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
        allowed = np.flatnonzero(bits[: self._tokens.size])
        ranked: list[int] = allowed[np.argsort(-self._tokens.lengths[allowed], kind="stable")].tolist()
        return ranked if len(ranked) <= _FEW else ranked[:_SOME] + ranked[-_SOME:]
