"""One question with several answers, as token ids: a shared context, and what each choice adds to it

The choice with the highest mean log-probability is the model's. Where questions come from is `choices`'.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from ggufrun.compare.tasks.outcomes import Outcome

Tokenize = Callable[[str], Sequence[int]]
Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    context: Tokens
    choices: tuple[Tokens, ...]
    right: int  # which of them


@dataclass(frozen=True, slots=True)
class Items:
    """What the scoring process' job "choose" is given."""

    questions: tuple[Question, ...]

    @property
    def contexts(self) -> tuple[Tokens, ...]:
        return tuple(question.context for question in self.questions)

    @property
    def choices(self) -> tuple[tuple[Tokens, ...], ...]:
        return tuple(question.choices for question in self.questions)


def outcomes(items: Items, logp: Sequence[float] | npt.NDArray[np.float32]) -> list[Outcome]:
    """`logp`: the mean log-probability of each choice of each question, in their order. None that is nan is taken."""
    scores = np.asarray(logp, np.float64)
    ends = list(accumulate(len(question.choices) for question in items.questions))
    wanted = ends[-1] if ends else 0
    if scores.shape != (wanted,):
        raise ValueError(f"{wanted} choices have {scores.size} log-probabilities")
    finite = np.where(np.isnan(scores), -np.inf, scores)
    return [
        _outcome(question, finite[end - len(question.choices) : end])
        for question, end in zip(items.questions, ends, strict=True)
    ]


def _outcome(question: Question, logp: npt.NDArray[np.float64]) -> Outcome:
    taken = int(np.argmax(logp))
    right = taken == question.right and bool(np.isfinite(logp[taken]))
    return Outcome(question.id, right, answer=str(taken))


def question(id: str, tokenize: Tokenize, begun: str, ends: Sequence[str], right: int) -> Question:
    """Choices are tokenized behind the context's text: where words meet, tokens do. What all have is the context's."""
    whole = [tuple(tokenize(begun + end)) for end in ends]
    shared = min(_common(whole), min(map(len, whole)) - 1)
    return Question(id, whole[0][:shared], tuple(each[shared:] for each in whole), right)


def _common(sequences: Sequence[Tokens]) -> int:
    """How many tokens all begin with."""
    same = (len(set(tokens)) == 1 for tokens in zip(*sequences, strict=False))
    return next((place for place, is_same in enumerate(same) if not is_same), min(map(len, sequences)))
