"""Two answers compared word by word: what the second has more and less than the first, as HTML of our own making."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from markupsafe import Markup

MOST_WORDS: Final = 3000  # of each answer; what comes behind them is not compared
_BY_LETTER: Final = "぀-ヿ㐀-䶿一-鿿豈-﫿"  # Japanese and Chinese have no blanks between words
_WORD: Final = re.compile(rf"[{_BY_LETTER}]\s*|[^\W{_BY_LETTER}]+\s*|(?:[^\w\s]|_)\s*")

Kind = Literal["same", "added", "missing"]
_MARKS: Final[dict[Kind, Markup]] = {
    "same": Markup("{}"),
    "added": Markup("<mark>{}</mark>"),
    "missing": Markup("<del>{}</del>"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """`similarity`: of the words of both, the share that is in both in one order; 1 for the same words."""

    parts: tuple[tuple[Kind, str], ...]
    similarity: float
    cut: int | None  # so many words of each were compared, and one of them has more

    @property
    def none(self) -> bool:
        return all(kind == "same" for kind, _ in self.parts)

    def html(self) -> Markup:
        return Markup("").join(_MARKS[kind].format(text) for kind, text in self.parts)


def difference(reference: str, answer: str) -> Difference:
    """Takes a second where long answers repeat themselves: not for the event loop."""
    before, after = words(reference), words(answer)
    cut = MOST_WORDS if max(len(before), len(after)) > MOST_WORDS else None
    before, after = before[:MOST_WORDS], after[:MOST_WORDS]
    parts, kept = _compared(before, after)
    whole = len(before) + len(after)
    return Difference(tuple(_joined(parts)), 2 * kept / whole if whole else 1.0, cut)


def words(text: str) -> list[str]:
    """Each with the blanks behind it; marks are words of their own."""
    return _WORD.findall(text.strip())


def _compared(before: Sequence[str], after: Sequence[str]) -> tuple[list[tuple[Kind, str]], int]:
    """The parts in the order in which they are read, and how many words are kept. Blanks make no difference."""
    old, new = [word.strip() for word in before], [word.strip() for word in after]
    parts: list[tuple[Kind, str]] = []
    kept = 0
    for what, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            kept += new_to - new_from
            parts.append(("same", "".join(after[new_from:new_to])))
        else:
            parts.append(("missing", "".join(before[old_from:old_to])))
            parts.append(("added", "".join(after[new_from:new_to])))
    return parts, kept


def _joined(parts: Iterable[tuple[Kind, str]]) -> Iterator[tuple[Kind, str]]:
    """Without empty ones; a blank stands between what is missing and what came in its place."""
    for kind, text in parts:
        if text:
            yield kind, f"{text} " if kind == "missing" and not text[-1].isspace() else text
