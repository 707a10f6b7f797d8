"""Constraints of generation: a matcher for each sequence, masks, jump-forward, answers closed before the budget ends.

Knows no JSON Schema: `ggufrun.chat.constraints` makes the grammars.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from ggufrun.engine.closing import LONGEST, check, find_closing
from ggufrun.engine.closing import GrammarError as GrammarError
from ggufrun.engine.closing_tokens import ClosingTokens, Mask
from ggufrun.engine.hints import Hints
from ggufrun.engine.types import Grammar
from ggufrun.engine.vocabulary import Vocabulary

_CACHED: Final = 64  # compiled grammars
_CACHED_TEXTS: Final = 4096
_SEARCH: Final = {"work": 1500, "wide": 64}  # grammar steps of a search while others wait: 1 to 20 milliseconds
_ALWAYS: Final = 1 << 62
_TIGHT: Final = 64  # tokens; with fewer left, an answer whose end is no longer found is closed while it can be
_FAR: Final = 2 * LONGEST  # tokens; with more left no way out is kept, whatever comes next can still be closed


@dataclass(frozen=True, slots=True)
class Advance:
    """What one sampled token led to.

    `tokens` are all to be appended: the sampled one and those that the grammar forces after it or, where `closed`,
    the tokens that close the answer in the sampled one's place. `forced` of them, the last ones, were not sampled.
    `finished`: only the end may follow. `closed`: the budget ended the answer, not the model.
    """

    tokens: tuple[int, ...]
    forced: int
    finished: bool
    closed: bool


class _Words:
    """A vocabulary as llguidance reads it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        every = range(len(vocabulary))
        self._vocabulary = vocabulary
        self.ends = [token for token in every if vocabulary.is_end(token)]
        self.special_token_ids = sorted({*self.ends, *(token for token in every if vocabulary.is_special(token))})
        self.tokens = [vocabulary.piece(token) for token in every]
        self.bos_token_id = vocabulary.bos
        self.eos_token_id = self.ends[0] if self.ends else None
        self._lead = self._line_break() if self._bytes("a") != b"a" else []

        self._tokens = lru_cache(_CACHED_TEXTS)(self._tokenize)

    def __call__(self, text: str | bytes) -> list[int]:
        """Tokens of a text that the grammar forces: the same keys and separators again and again."""
        return list(self._tokens(text.decode() if isinstance(text, bytes) else text))

    def _tokenize(self, text: str) -> list[int]:
        if not self._lead:
            return self._vocabulary.tokenize(text, special=False)
        return self._vocabulary.tokenize("\n" + text, special=False)[len(self._lead) :]

    def _line_break(self) -> list[int]:
        """SentencePiece puts a space before a text, not before what follows a line break, which merges with nothing."""
        return self._vocabulary.tokenize("\n", special=False)

    def _bytes(self, text: str) -> bytes:
        return b"".join(self.tokens[token] for token in self._vocabulary.tokenize(text, special=False))


def build_tokenizer(vocabulary: Vocabulary) -> LLTokenizer:
    """llguidance's view of a vocabulary: 0.2 s at 49,152 tokens, 0.5 s at 131,072. Build it once for each model.

    Special tokens are marked as such, so that no text, a JSON string's included, can produce one.
    """
    words = _Words(vocabulary)
    if not words.ends:
        raise GrammarError("The model's vocabulary has no end-of-generation token: no grammar can end.")
    return LLTokenizer(TokenizerWrapper(words), eos_token=words.ends)


class Constraint:
    """One sequence's place in its grammar.

    Wrap-up keeps a way out: `_exit` closes the answer from the present state and fits what remains of the budget. A
    sampled token is taken only if there is a way out behind it that fits too; else the one known before is gone. So the
    answer is always closed, whatever a token opens. Mostly the way out stays the same, which takes 3 microseconds.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        kit: "GrammarCompiler",
        hints: Hints,
        exit: tuple[int, ...] | None = None,
        wrap_up: bool = False,
    ) -> None:
        self._matcher, self._kit, self._hints = matcher, kit, hints
        self._exit, self._wrap_up = exit, wrap_up
        self._due = _FAR  # no look for a way out while more tokens than this remain

    @property
    def accepting(self) -> bool:
        """Whether the answer may end here."""
        return self._matcher.is_accepting()

    @property
    def error(self) -> str:
        """Why the matcher cannot go on; empty while it can."""
        return self._matcher.get_error().split("\n", 1)[0] if self._matcher.is_error() else ""

    def fill_mask(self, mask: Mask) -> None:
        """Write the allowed next tokens into a row, int32 [vocabulary / 32 rounded up]; bit i of word w is token 32w+i.

        End tokens are among them where the answer may end. Drops the GIL.
        """
        self._matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        check(self._matcher)

    def begin(self, remaining: int) -> Advance:
        """The tokens that the grammar forces before anything is sampled; `remaining` tokens may be appended."""
        forced = self._force(remaining)
        if self._exit is not None and self._exit[: len(forced)] == forced:
            self._exit = self._exit[len(forced) :]
        elif forced and self._wrap_up:
            self._exit = self._way_out(forced, remaining - len(forced))
        check(self._matcher)
        return Advance(forced, len(forced), self._matcher.is_stopped(), closed=False)

    def advance(self, token: int, remaining: int) -> Advance:
        """Take a sampled token; `remaining` tokens, this one included, may still be appended (at least 1).

        Raises GrammarError where the token is not allowed or the grammar grew too complex.
        """
        self._matcher.consume_token(token)
        check(self._matcher)
        tokens = (token, *self._force(remaining - 1))
        finished = self._matcher.is_stopped()
        if self._wrap_up and not finished:
            room = remaining - len(tokens)
            if not self._keep_exit(tokens, room, remaining):
                return self._close(len(tokens))
        return Advance(tokens, len(tokens) - 1, finished, closed=False)

    def closing(self, fits: int = 0) -> tuple[int, ...] | None:
        """The fewest tokens found that end the answer from here; the search is content with `fits`. None: not found."""
        return find_closing(self._matcher, self._kit.closing_tokens, self._hints, fits)

    def allows(self, tokens: Sequence[int]) -> int:
        """How many leading ones of `tokens` (a draft) the grammar allows from here."""
        return self._matcher.validate_tokens(list(tokens))

    def _force(self, most: int) -> tuple[int, ...]:
        if not self._kit.jump_forward or self._matcher.is_stopped():
            return ()
        forced = self._matcher.compute_ff_tokens()[: max(0, most)]
        if forced:
            self._matcher.consume_tokens(forced)
            check(self._matcher)
        return tuple(forced)

    def _keep_exit(self, consumed: tuple[int, ...], room: int, before: int) -> bool:
        """Find a way out behind the `consumed` tokens; False if there is none and the one before them must be gone.

        `room` tokens may follow them, `before` could when they were not taken yet.
        """
        if room > self._due:
            self._exit = None
            return True
        found = self._way_out(consumed, room)
        if found is not None and len(found) <= room:
            self._exit = found
            return True
        if self._exit is not None and len(self._exit) <= before and (found is not None or before <= _TIGHT):
            return False
        self._exit = None
        self._due = room - max(1, room // 4)  # nothing found: the next, costly look comes later
        return True

    def _way_out(self, consumed: tuple[int, ...], room: int) -> tuple[int, ...] | None:
        """A closing of the present state: what is left of the one known before, where that fits, else a new one."""
        if (known := self._exit) is not None:
            rest = known[len(consumed) :] if known[: len(consumed)] == consumed else known
            if len(rest) <= room and self._ends_with(rest):
                return rest
        return find_closing(self._matcher, self._kit.closing_tokens, self._hints, room, **_SEARCH)

    def _ends_with(self, tokens: tuple[int, ...]) -> bool:
        line = [*tokens, self._kit.tokenizer.eos_tokens[0]]
        return self._matcher.validate_tokens(line) == len(line)

    def _close(self, consumed: int) -> Advance:
        tokens = self._exit or ()
        self._matcher.rollback(consumed)
        self._matcher.consume_tokens(list(tokens))
        check(self._matcher)
        return Advance(tokens, len(tokens), finished=True, closed=True)


@dataclass(frozen=True, slots=True)
class _Exit:
    """The way out of a grammar's beginning; None: not found. The search for it was content with `fits` tokens."""

    hints: Hints
    tokens: tuple[int, ...] | None
    fits: int

    def serves(self, hints: tuple[str, ...], budget: int) -> bool:
        """Whether another search, with these hints and for an answer of `budget` tokens, would find nothing better."""
        if self.hints.texts != hints:
            return False
        return self.tokens is None or len(self.tokens) <= budget or len(self.tokens) > self.fits


class GrammarCompiler:
    """One model's compiled grammars, the most recent ones kept. Safe to use from several threads.

    The vocabulary is read at the first grammar (0.6 s at 131,072 tokens), or by `warm`.
    """

    def __init__(self, vocabulary: Vocabulary, *, jump_forward: bool = True, wrap_up: bool = True) -> None:
        self.jump_forward, self._wrap_up = jump_forward, wrap_up
        self._vocabulary = vocabulary
        self._lock = threading.RLock()
        self._tokenizer: LLTokenizer | None = None
        self._closing_tokens: ClosingTokens | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self._exits: dict[str, _Exit] = {}

    @property
    def tokenizer(self) -> LLTokenizer:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = build_tokenizer(self._vocabulary)
            return self._tokenizer

    @property
    def closing_tokens(self) -> ClosingTokens:
        with self._lock:
            if self._closing_tokens is None:
                self._closing_tokens = ClosingTokens(self.tokenizer)
            return self._closing_tokens

    def warm(self) -> None:
        """Read the vocabulary now rather than at the first grammar."""
        _ = self.closing_tokens

    def knows(self, grammar: Grammar, budget: int) -> bool:
        """Whether `start` takes microseconds."""
        with self._lock:
            if grammar.source not in self._compiled:
                return False
            known = self._exits.get(grammar.source)
        return not (self._wrap_up and grammar.closable) or (known is not None and known.serves(grammar.hints, budget))

    def start(self, grammar: Grammar, budget: int = _ALWAYS) -> Constraint:
        """A constraint at the beginning of an answer of at most `budget` tokens.

        Takes as long as compiling does, and up to 80 ms more where a budget is under the first way out that is found.
        Raises GrammarError where the grammar does not compile.
        """
        matcher = self._matcher(grammar.source)
        if not (self._wrap_up and grammar.closable):
            return Constraint(matcher, self, Hints((), self.tokenizer))
        known = self._exits.get(grammar.source)
        if known is None or not known.serves(grammar.hints, budget):
            hints = Hints(grammar.hints, self.tokenizer)
            known = _Exit(hints, find_closing(matcher, self.closing_tokens, hints, fits=budget), budget)
            with self._lock:
                self._exits[grammar.source] = known
        return Constraint(matcher, self, known.hints, known.tokens, wrap_up=True)

    def _matcher(self, source: str) -> LLMatcher:
        """A fresh matcher; a known grammar's takes a microsecond."""
        tokenizer = self.tokenizer
        with self._lock:
            if source in self._compiled:
                self._compiled.move_to_end(source)
                return self._compiled[source].deep_copy()
        matcher = LLMatcher(tokenizer, source, log_level=0, limits=LLParserLimits(verbose_errors=False))
        if matcher.is_error():
            raise GrammarError(f"{matcher.get_error().strip().splitlines()[0].rstrip('.')}.")
        with self._lock:
            self._compiled[source] = matcher
            if len(self._compiled) > _CACHED:
                old, _ = self._compiled.popitem(last=False)
                self._exits.pop(old, None)
            return matcher.deep_copy()


def fill_masks(constraints: Sequence[Constraint], masks: Mask) -> None:
    """Fill row i of `masks`, int32 [rows, vocabulary / 32 rounded up], for constraint i: 3 to 30 microseconds a row.

    One after the other: llguidance's thread pool took twice as long for eight rows of a JSON schema.
    """
    for row, constraint in enumerate(constraints):
        constraint.fill_mask(masks[row])


def apply_mask(mask: Mask, logits: npt.NDArray[np.float32]) -> None:
    """Set the logits, float32 [vocabulary], of all tokens that a mask row forbids to minus infinity."""
    bits = np.unpackbits(mask.view(np.uint8), count=len(logits), bitorder="little")
    np.copyto(logits, -np.inf, where=bits == 0)
