"""Drafts from the text itself: what followed the last few tokens when they stood there before (edits, RAG, echo)."""

NGRAM = 3
LEARN = 0.15


class NgramDraft:
    """An index over one sequence's tokens, kept up as it grows, and how often its guesses have been right.

    Every guess is scored against what the model then chose, whether or not it was drafted: a sequence that starts or
    stops copying is noticed without spending a model row on it.
    """

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}  # n-gram -> where its latest follower stands
        self._indexed = NGRAM  # next position to index as a follower
        self._guess: int | None = None
        self.acceptance = 0.5  # smoothed chance that one guessed token is right

    def propose(self, tokens: list[int], most: int) -> list[int]:
        """Up to `most` tokens that may follow `tokens`; empty where the last n-gram is new."""
        at = self._after.get(tuple(tokens[-NGRAM:]))
        if at is None or most < 1:
            return []
        self._guess = tokens[at]
        draft = tokens[at : at + most]
        if len(draft) < most:  # the copy has caught up with the end: it repeats itself
            draft = (draft * (most // len(draft) + 1))[:most]
        return draft

    def observe(self, tokens: list[int], start: int) -> None:
        """Tokens from `start` on are new: score the guess made for the first of them, and index them."""
        if self._guess is not None and start < len(tokens):
            self._learn(tokens[start] == self._guess)
            self._guess = None
        for at in range(self._indexed, len(tokens)):
            self._after[tuple(tokens[at - NGRAM : at])] = at
        self._indexed = max(self._indexed, len(tokens))

    def verified(self, accepted: int, offered: int) -> None:
        """A draft of `offered` tokens was checked and its first `accepted` held: at most one miss can be seen."""
        self._guess = None
        for _ in range(accepted):
            self._learn(True)
        if accepted < offered:
            self._learn(False)

    def _learn(self, hit: bool) -> None:
        self.acceptance += LEARN * (hit - self.acceptance)
