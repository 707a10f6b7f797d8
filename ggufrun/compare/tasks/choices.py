"""Where multiple-choice questions come from: the text itself, which knows how it goes on

A question is a piece of it; one choice is how it goes on, the others go on elsewhere in the same text.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ggufrun.compare.tasks.drawing import by_turns
from ggufrun.compare.tasks.multiple_choice import Items, Question, Tokenize, Tokens, question

ENOUGH: Final = 200
_CHOICES: Final = 4
_CONTEXT: Final = 64  # tokens
_GOES_ON: Final = 16  # tokens
_BEFORE: Final = 512  # characters that have a context's tokens in nearly any language
_BEHIND: Final = 160  # and a choice's
_APART: Final = 200  # characters between two of them at least
_SPACE: Final = re.compile(r"(?<=\w) (?=\w)")  # between words of one line: no layout tells the choices apart
_RARE: Final = 100  # characters, among which even code has such a space
_ANY: Final = re.compile(r"(?<=\w)(?=\w)")  # for languages that write no spaces


def items(texts: Sequence[str], tokenize: Tokenize, *, bos: Tokens = (), count: int = ENOUGH, seed: int = 0) -> Items:
    """As many as the texts have room for, at most `count`; by turns of each text.

    `tokenize`: plain text, no BOS; `bos` stands in front of each context.
    """
    source = random.Random(seed)
    places = [_places(text) for text in texts]
    taken: list[Question] = []
    for number, place in by_turns([[(number, place) for place in of] for number, of in enumerate(places)], source):
        if len(taken) == count:
            break
        far = [other for other in places[number] if abs(other - place) > _BEFORE]
        if len(far) < _CHOICES - 1:
            continue
        others = source.sample(far, _CHOICES - 1)
        asked = _of_text(texts[number], [place, *others], tokenize, source, f"text-{len(taken)}")
        if asked.context and len(set(asked.choices)) == _CHOICES:  # a text may repeat itself
            taken.append(replace(asked, context=(*bos, *asked.context)))
    return Items(tuple(taken))


def _places(text: str) -> list[int]:
    """Where a question may end, and an answer begin."""
    kind = _SPACE if len(_SPACE.findall(text)) * _RARE >= len(text) else _ANY
    last, places = 0, []
    for match in kind.finditer(text, _BEFORE, max(_BEFORE, len(text) - _BEHIND)):
        if match.start() >= last + _APART:
            last = match.start()
            places.append(last)
    return places


def _of_text(text: str, places: list[int], tokenize: Tokenize, source: random.Random, id: str) -> Question:
    """The first place is the question's; the answers stand in any order."""
    place = places[0]
    source.shuffle(places)
    ends = [text[start : start + _BEHIND] for start in places]
    whole = question(id, tokenize, text[place - _BEFORE : place], ends, places.index(place))
    choices = tuple(choice[:_GOES_ON] for choice in whole.choices)
    return Question(id, whole.context[-_CONTEXT:], choices, whole.right)
