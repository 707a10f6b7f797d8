"""How to end an answer soonest: the fewest tokens that take a grammar from where it stands to an end that it accepts.

A search, not a proof of minimality: first a greedy descent over the tokens that close, then wider ones.
"""

import heapq
from typing import Final

import numpy as np
from llguidance import LLMatcher
from llguidance.numpy import fill_next_token_bitmask

from ggufrun.engine.closing_tokens import Allowed, ClosingTokens, Mask
from ggufrun.engine.hints import Hints
from ggufrun.errors import EngineError

_DEPTH: Final = 3  # choices that are looked into behind one another
LONGEST: Final = 4096  # tokens; a longer closing is not looked for
_GREEDY: Final = 12  # likely tokens in a row before a way out is searched
_BRIDGE: Final = 600  # grammar steps of one such search
_TRIES: Final = 10  # tokens of hints that are tried in the time of a grammar step


class GrammarError(EngineError):
    """A grammar that cannot be compiled, or a matcher that could not go on. Only that request ends."""


def check(matcher: LLMatcher) -> None:
    """Raise GrammarError if the matcher is in its error state, which it never leaves."""
    if matcher.is_error():
        raise GrammarError(f"The grammar cannot go on: {matcher.get_error().strip().splitlines()[0]}.")


class _Search:
    """One search; `best` is the shortest closing found so far, `work` counts grammar steps of about 10 microseconds."""

    def __init__(self, tokens: ClosingTokens, hints: Hints, work: int) -> None:
        self._tokens, self._left = tokens, work
        self._hints, self._hint = hints, 0  # the last one that led on: the next string's is likely to be near
        self._mask: Mask = np.empty((1, (tokens.size + 31) // 32), np.int32)
        self._lost = 0  # bridges that led nowhere: it is less and less worthwhile to search around them
        self.best: tuple[int, ...] | None = None

    def limit(self, work: int) -> None:
        self._left = min(self._left, work)

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def descend(self, matcher: LLMatcher, path: list[int], depth: int) -> None:
        """Close from `matcher`'s state, which is used up; at a choice, branch while `depth` lasts."""
        while not matcher.is_stopped():
            if self.spent or len(path) >= self._longest():
                return
            step = self._forced(matcher)
            if not step:
                allowed = self._allowed(matcher)
                if allowed.end:
                    break
                closing = allowed.closing()
                step = [] if closing else self._hinted(matcher)
                if not step and depth > 0 and len(branches := allowed.branches()) > 1:
                    return self._branch(matcher, path, branches, depth)
                step = step or closing[:1] or self._bridge(matcher, allowed)
            if not step:
                return
            matcher.consume_tokens(step)
            path.extend(step)
        check(matcher)
        if len(path) < self._longest():
            self.best = tuple(path)

    def _branch(self, matcher: LLMatcher, path: list[int], steps: list[int], depth: int) -> None:
        for token in steps:
            copy = matcher.deep_copy()
            if copy.consume_token(token):
                self.descend(copy, [*path, token], depth - 1)

    def _hinted(self, matcher: LLMatcher, whole: bool = False) -> list[int]:
        """A hint, or what is missing of one, that leads to the end of a string which nothing closes."""
        before = self._hints.tried
        try:
            return self._try_hints(matcher, whole)
        finally:
            self._left -= 1 + (self._hints.tried - before) // _TRIES

    def _try_hints(self, matcher: LLMatcher, whole: bool) -> list[int]:
        if (found := self._hints.whole(matcher, self._hint)) is not None:
            self._hint = found
            return self._hints.least(found, matcher)
        return [] if whole else self._hints.rest(matcher)

    def _bridge(self, matcher: LLMatcher, allowed: Allowed) -> list[int]:
        """Tokens from a place where nothing closes to one where something does, or as far as the likely ones lead."""
        trial, path = matcher.deep_copy(), list[int]()
        while len(path) < _GREEDY and (step := allowed.likely()[:1]) and trial.consume_token(step[0]):
            path += step
            if self._leads_on(trial):
                return path
            if hint := self._hinted(trial, whole=True):
                return path + hint
            allowed = self._allowed(trial)
        self._lost += 1
        return (self._nearest(matcher) if self._lost & (self._lost - 1) == 0 else []) or path

    def _nearest(self, matcher: LLMatcher) -> list[int]:
        """Breadth first, states that look new before states that look like earlier ones."""
        seen: set[bytes] = set()
        order, last = 0, max(0, self._left - _BRIDGE)
        queue: list[tuple[int, int, list[int], LLMatcher]] = [(0, order, [], matcher)]
        while queue and self._left > last:
            _, _, path, state = heapq.heappop(queue)
            for token in self._allowed(state).worth_trying():
                copy = state.deep_copy()
                if not copy.consume_token(token):
                    continue
                if self._leads_on(copy):
                    return [*path, token]
                look = self._mask.tobytes()
                cost = len(path) + 1 + (2 if look in seen else 0)
                seen.add(look)
                order += 1
                heapq.heappush(queue, (cost, order, [*path, token], copy))
        return []

    def _leads_on(self, matcher: LLMatcher) -> bool:
        """Whether the answer ends, is forced or can be closed here. Leaves the state's mask in `_mask` if not."""
        if matcher.is_stopped() or self._forced(matcher):
            return True
        allowed = self._allowed(matcher)
        return allowed.end or bool(allowed.closing())

    def _forced(self, matcher: LLMatcher) -> list[int]:
        self._left -= 1
        return matcher.compute_ff_tokens()

    def _allowed(self, matcher: LLMatcher) -> Allowed:
        fill_next_token_bitmask(matcher, self._mask)
        check(matcher)
        return Allowed(self._tokens, self._mask[0])

    def _longest(self) -> int:
        return LONGEST if self.best is None else len(self.best)


def find_closing(
    matcher: LLMatcher, tokens: ClosingTokens, hints: Hints, fits: int, work: int = 8000, wide: int = 400
) -> tuple[int, ...] | None:
    """The shortest closing found from `matcher`'s state, which is left alone. None where none was found.

    The greedy one if it has at most `fits` tokens; else `wide` more grammar steps are spent on shorter ones. `work` is
    the limit for all. Raises GrammarError where the grammar is too complex for llguidance's limits.
    """
    search = _Search(tokens, hints, work)
    for depth in range(_DEPTH + 1):
        search.descend(matcher.deep_copy(), [], depth)
        if depth == 0 and search.best is not None:
            search.limit(wide)
        if search.spent or (search.best is not None and len(search.best) <= fits):
            break
    return search.best
