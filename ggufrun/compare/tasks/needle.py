"""A code hidden in a long text, to be found again: at several lengths and depths, as prompts of token ids

The answers are greedy, and right if they have the code. A length and depth at which the reference finds less than half
says nothing about a quant: `outcomes.passed` tells which are left.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from ggufrun.compare.tasks.outcomes import Outcome
from ggufrun.errors import OptionError

ANSWER: Final = 32  # tokens
DEPTHS: Final = (0.1, 0.5, 0.9)
_SHORTEST: Final = 512
_ROUNDS: Final = 8
_NEAR: Final = 0.95
_ENDS: Final = re.compile(r"(?<=[.!?;])\s|\n")
_SPACE: Final = re.compile(r"\s")
_REACH: Final = 200  # characters
_FORMS: Final = re.compile(r"[\s,.'_-]")  # what models put between digits
_THINGS: Final = ("red box", "old gate", "north tower", "blue ledger", "third cabinet", "garden door", "small safe")

Encode = Callable[[str], Sequence[int]]  # a user's message to the whole prompt, as the model's chat format has it


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    group: str  # "2048 tokens at 50 %"
    prompt: tuple[int, ...]
    code: str


def lengths(context: int) -> tuple[int, ...]:
    """512, 1024 and so on; the last is the context's own."""
    doubled = [_SHORTEST << step for step in range(24) if _SHORTEST << step < context]
    return (*doubled, context) if context >= _SHORTEST else ()


def items(
    texts: Sequence[str], encode: Encode, lengths: Sequence[int], *, count: int, seed: int = 0
) -> tuple[Item, ...]:
    """`count` in all, of each length and depth as many. Prompt and answer together have nearly that length, at most.

    Shorter texts are repeated. Raises OptionError where there is no text, or no length.
    """
    text = "\n\n".join(texts).strip()
    if not text or not lengths:
        raise OptionError("The task needle needs a text, and a context of 512 tokens.", "Give more --context.")
    source = random.Random(seed)
    hay = _Hay(text, encode)
    cells = list(product(lengths, DEPTHS))
    return tuple(hay.item(f"needle-{number}", *cells[number % len(cells)], source) for number in range(count))


def outcomes(items: Sequence[Item], answers: Sequence[str]) -> list[Outcome]:
    return [
        Outcome(item.id, item.code in _FORMS.sub("", answer), item.group, answer=answer)
        for item, answer in zip(items, answers, strict=True)
    ]


class _Hay:
    """A text in which things are hidden."""

    def __init__(self, text: str, encode: Encode) -> None:
        self._text, self._encode = text, encode
        self._characters = 4.0  # of a token, as the last prompt had it

    def item(self, id: str, length: int, depth: float, source: random.Random) -> Item:
        thing, code = source.choice(_THINGS), str(source.randrange(10**6, 10**7))
        start = source.randrange(len(self._text))
        most, best = length - ANSWER, self._prompt(start, 0, depth, thing, code)
        if len(best) > most:
            raise OptionError(f"A needle does not fit into {length} tokens.", "Give more --context.")
        characters = int((most - len(best)) * self._characters)
        for _ in range(_ROUNDS):
            prompt = self._prompt(start, characters, depth, thing, code)
            if len(best) < len(prompt) <= most:
                best = prompt
            if _NEAR * most <= len(prompt) <= most:
                break
            characters = int(characters * most / len(prompt) * 0.99)
        self._characters = max(characters, 1) / len(best)
        return Item(id, f"{length} tokens at {depth:.0%}".replace("%", " %"), best, code)

    def _prompt(self, start: int, characters: int, depth: float, thing: str, code: str) -> tuple[int, ...]:
        again = 1 + characters // len(self._text)
        before, behind = _parted((self._text[start:] + f"\n\n{self._text}" * again)[:characters], depth)
        hidden = f"{before} The code of the {thing} is {code}. {behind}".strip()
        question = f"What is the code of the {thing}? Answer with the code only."
        return tuple(self._encode(f"Somewhere in this text stands a code.\n\n{hidden}\n\n{question}"))


def _parted(text: str, depth: float) -> tuple[str, str]:
    """Between two sentences, where there are some near."""
    place = int(len(text) * depth)
    end = _ENDS.search(text, place, place + _REACH) or _SPACE.search(text, place, place + _REACH)
    place = end.end() if end else place
    return text[:place], text[place:]
