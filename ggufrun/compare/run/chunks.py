"""A text as chunks of 512 tokens, cut as llama-perplexity cuts it, and shared out among the parts of the text

Of a single file these are llama-perplexity's chunks, token for token: the second half of each is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ggufrun.compare.run.plan import CHUNK
from ggufrun.compare.texts.source import Part, joined
from ggufrun.errors import OptionError
from ggufrun.llama.vocabulary import LlamaVocabulary

FEW: Final = 8  # chunks: with fewer there are no intervals
_LONGEST: Final = 32  # characters of a token, on the average of a whole text: what lies behind is not needed
_REST: Final = "short files"


@dataclass(frozen=True, slots=True)
class Chunks:
    """Sequences of tokens. Of each, what follows position `first` is scored; `part` is an index into `names`.

    `left_out`: names of parts that are too short for one chunk.
    """

    tokens: tuple[tuple[int, ...], ...]
    firsts: tuple[int, ...]
    parts: tuple[int, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(map(len, self.tokens))


def chunked(parts: Sequence[Part], vocabulary: LlamaVocabulary, most: int) -> Chunks:
    """At most so many chunks, of each part alike if it is long enough. Raises OptionError for a text too short."""
    cut = {part.name: _cut(part.text[: most * CHUNK * _LONGEST], vocabulary) for part in parts}
    short = tuple(part for part in parts if not cut[part.name])
    cut = {name: found for name, found in cut.items() if found}
    together = _cut(joined(short, _REST).text, vocabulary) if len(short) > 1 else []
    left_out = () if together else tuple(part.name for part in short)
    if together:
        cut[_REST] = together
    if not cut:
        raise _too_short(parts, vocabulary)
    names = tuple(cut)
    counts = shares([len(cut[name]) for name in names], most)
    taken = [(at, chunk) for at, name in enumerate(names) for chunk in cut[name][: counts[at]]]
    return Chunks(
        tokens=tuple(chunk for _, chunk in taken),
        firsts=(CHUNK // 2,) * len(taken),
        parts=tuple(at for at, _ in taken),
        names=names,
        left_out=left_out,
    )


def shares(there: Sequence[int], most: int) -> list[int]:
    """How many of each are taken: alike, as far as each has them; the first get what does not divide."""
    taken = [0] * len(there)
    left = min(most, sum(there))
    while left:
        for at in range(len(there)):
            if left and taken[at] < there[at]:
                taken[at] += 1
                left -= 1
    return taken


def _cut(text: str, vocabulary: LlamaVocabulary) -> list[tuple[int, ...]]:
    tokens = vocabulary.frame(text)
    chunks = [tokens[at : at + CHUNK] for at in range(0, len(tokens) - CHUNK + 1, CHUNK)]
    if vocabulary.adds_bos and vocabulary.bos is not None:
        chunks = [[vocabulary.bos, *chunk[1:]] for chunk in chunks]
    return [tuple(chunk) for chunk in chunks]


def _too_short(parts: Sequence[Part], vocabulary: LlamaVocabulary) -> OptionError:
    count = sum(len(vocabulary.frame(part.text)) for part in parts)
    characters = sum(len(part.text) for part in parts)
    each = characters / max(1, count)
    return OptionError(
        f"The text has {count:,} token{'' if count == 1 else 's'}, and one chunk needs {CHUNK}.",
        f"Give about {round(CHUNK * each, -2):,.0f} characters at least; for intervals {FEW} chunks, "
        f"about {round(FEW * CHUNK * each, -2):,.0f} characters.",
    )
