"""Drafts from the text itself: what followed the last few tokens when they stood there before (edits, RAG, echo)."""

from ggufrun.engine.image_tokens import ordinary

NGRAM = 3
PLACES = 32  # kept for one n-gram, the latest
LOOK_BACK = 24  # tokens of context that tell places apart
LEARN = 0.15


class NgramDraft:
    """An index over one sequence's tokens, kept up as it grows, and how often its guesses have been right.

    A copy is followed where it is being made: the place that was right goes on being it until a token differs. Then the
    place is looked for anew, by the longest context that is equal, just behind the old one where several are.

    Every guess is scored against what the model then chose, whether or not it was drafted: a sequence that starts or
    stops copying is noticed without spending a model row on it.
    """

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], list[int]] = {}  # n-gram -> where its followers stand, in order
        self._indexed = NGRAM  # next position to index as a follower
        self._next: int | None = None  # where the token stands that the copy goes on with
        self._left: int | None = None  # where the last copy was left
        self._guess: int | None = None
        self.acceptance = 0.5  # smoothed chance that one guessed token is right

    def propose(self, tokens: list[int], most: int) -> list[int]:
        """Up to `most` tokens that may follow `tokens`; empty where the last n-gram is new."""
        if most < 1:
            return []
        if self._next is None:
            self._next = self._find(tokens)
        if (at := self._next) is None:
            return []
        self._guess = tokens[at]
        draft = tokens[at : at + most]
        if len(draft) < most:  # the copy has caught up with the end: it repeats itself
            draft = (draft * (most // len(draft) + 1))[:most]
        return draft[: ordinary(draft)]  # a picture that stands in the copied text cannot be said

    def observe(self, tokens: list[int], start: int) -> None:
        """Tokens from `start` on are new: score the guess made for the first of them, and index them."""
        if self._guess is not None and start < len(tokens):
            self._learn(tokens[start] == self._guess)
            self._guess = None
        for at in range(start, len(tokens)):
            self._follow(tokens, at)
        for at in range(self._indexed, len(tokens)):
            places = self._after.setdefault(tuple(tokens[at - NGRAM : at]), [])
            places.append(at)
            del places[:-PLACES]
        self._indexed = max(self._indexed, len(tokens))

    def verified(self, accepted: int, offered: int) -> None:
        """A draft of `offered` tokens was checked and its first `accepted` held: at most one miss can be seen."""
        self._guess = None
        for _ in range(accepted):
            self._learn(True)
        if accepted < offered:
            self._learn(False)

    def _follow(self, tokens: list[int], at: int) -> None:
        if self._next is None:
            return
        if tokens[self._next] == tokens[at]:
            self._next += 1
        else:
            self._left, self._next = self._next, None

    def _find(self, tokens: list[int]) -> int | None:
        """The best of the places that the last n-gram stood before; the latest, if nothing was copied yet."""

        def rank(at: int) -> tuple[int, int, int]:
            ahead = len(tokens) if self._left is None or at < self._left else at - self._left
            return _context(tokens, at), -ahead, at

        return max(self._after.get(tuple(tokens[-NGRAM:]), ()), key=rank, default=None)

    def _learn(self, hit: bool) -> None:
        self.acceptance += LEARN * (hit - self.acceptance)


def _context(tokens: list[int], at: int) -> int:
    """How many tokens before `at` equal the last ones, LOOK_BACK at most."""
    most = min(LOOK_BACK, at)
    return next((n for n in range(NGRAM, most) if tokens[at - n - 1] != tokens[-n - 1]), most)
