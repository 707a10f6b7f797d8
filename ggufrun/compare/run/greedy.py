"""Greedy answers beside the reference's, as text, and where they part. What wrote them is `scoring`'s"""

import math
from collections.abc import Sequence

import numpy as np

from ggufrun.compare.results import Divergence, Greedy
from ggufrun.compare.scoring.files import Written
from ggufrun.compare.texts.source import Prompt
from ggufrun.engine.vocabulary import Vocabulary


def greedy_answers(
    prompts: Sequence[Prompt], reference: Written, row: Written, vocabulary: Vocabulary
) -> tuple[Greedy, ...]:
    """One for each prompt. `row` may be the reference itself."""
    theirs, ours = reference.answers(), row.answers()
    return tuple(
        _greedy(prompts[at].question, at, (reference, theirs[at]), (row, ours[at]), vocabulary)
        for at in range(len(prompts))
    )


def _greedy(
    prompt: str, at: int, other: tuple[Written, list[int]], own: tuple[Written, list[int]], vocabulary: Vocabulary
) -> Greedy:
    (reference, theirs), (row, ours) = other, own
    agreed = _agreed(theirs, ours)
    ends = int(reference.end[at]), int(row.end[at])
    parts = agreed < len(theirs) or agreed < len(ours) or ends[0] != ends[1]
    return Greedy(
        prompt=prompt,
        reference=text_of(theirs, vocabulary),
        answer=text_of(ours, vocabulary),
        agreed=agreed,
        tokens=max(len(theirs), len(ours)),
        divergence=_divergence(at, agreed, other, own, vocabulary) if parts else None,
    )


def _divergence(
    at: int,
    agreed: int,
    other: tuple[Written, list[int]],
    own: tuple[Written, list[int]],
    vocabulary: Vocabulary,
) -> Divergence:
    (reference, theirs), (row, ours) = other, own
    their_token, their_p = _there(reference, at, agreed, theirs)
    own_token, own_p = _there(row, at, agreed, ours)
    asked = float(row.p_of_reference[at])
    return Divergence(
        at=agreed,
        reference_text=_shown(their_token, vocabulary),
        text=_shown(own_token, vocabulary),
        p_reference_own=their_p,
        p_reference_other=_alternative(reference, at, agreed, own_token),
        p_own=own_p,
        p_of_reference=0.0 if math.isnan(asked) else asked,
    )


def _agreed(theirs: Sequence[int], ours: Sequence[int]) -> int:
    same = (left == right for left, right in zip(theirs, ours, strict=False))
    return next((at for at, each in enumerate(same) if not each), min(len(theirs), len(ours)))


def _there(written: Written, at: int, position: int, answer: Sequence[int]) -> tuple[int, float]:
    """The token that an answer has there, or its end, and how likely that was; -1 where it was cut off."""
    if position < len(answer):
        return answer[position], float(written.p_top[int(written.offsets[at]) + position])
    return int(written.end[at]), float(written.end_p[at])


def _alternative(reference: Written, at: int, position: int, token: int) -> float | None:
    """What the reference thought of another's token, where it is among those that it kept."""
    place = int(reference.offsets[at]) + position
    if place >= int(reference.offsets[at + 1]):
        return None
    found = np.flatnonzero(reference.top_ids[place] == token)
    return float(reference.top_p[place][found[0]]) if len(found) else None


def text_of(tokens: Sequence[int], vocabulary: Vocabulary) -> str:
    return b"".join(map(vocabulary.piece, tokens)).decode("utf-8", "replace")


def _shown(token: int, vocabulary: Vocabulary) -> str:
    return "(end)" if token < 0 or vocabulary.is_end(token) else text_of([token], vocabulary)
