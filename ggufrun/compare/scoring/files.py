"""What a comparison and the process that scores hand each other in files: texts, items, scores, answers.

Each is written whole or not at all, and one that is damaged or another's is refused: `archive.DamagedFile`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ggufrun.compare.results import Scores
from ggufrun.compare.scoring.archive import Array, DamagedFile, Types, load, save

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]

_I32, _I64, _F32, _F64 = np.int32, np.int64, np.float32, np.float64
_ROWS: Final[Types] = {"tokens": _I32, "offsets": _I64}
_TEXT: Final[Types] = {**_ROWS, "first": _I32, "part": _I32}
_ITEMS: Final[Types] = {**_ROWS, "choice_tokens": _I32, "choice_offsets": _I64, "k": _I32}
_OF_TOKENS: Final[Types] = {"p_top": _F32, "top_ids": _I32, "top_p": _F32}
_OF_ANSWERS: Final[Types] = {"end": _I32, "end_p": _F32, "agreed": _I32, "p_of_reference": _F32}
_PLACES: Final[Types] = {"chunk": _I32, "depth": _I32, "part": _I32}
_SCORES: Final[Types] = {"nll": _F64, "kld": _F64, "dp": _F64, "same_top": np.bool_, **_PLACES}


@dataclass(frozen=True, slots=True)
class Text:
    """What is scored: chunks of tokens. Position i of a chunk predicts its token i + 1, for i from `first` on."""

    tokens: Int32s  # of all chunks
    offsets: Int64s  # [chunks + 1]
    first: Int32s  # [chunks]
    part: Int32s  # [chunks]

    @property
    def counts(self) -> Int64s:
        """[chunks]: positions of each that are scored."""
        return np.maximum(np.diff(self.offsets) - 1 - self.first, 0)

    @property
    def positions(self) -> int:
        return int(self.counts.sum())

    @property
    def longest(self) -> int:
        return int(np.diff(self.offsets).max(initial=0))

    def digest(self) -> str:
        return sha256(b"".join(each.tobytes() for each in (self.tokens, self.offsets, self.first))).hexdigest()


@dataclass(frozen=True, slots=True)
class Item:
    """A context, and choices of how it goes on: their tokens."""

    context: list[int]
    choices: list[list[int]]


@dataclass(frozen=True, slots=True)
class Written:
    """Greedy answers. `end`: the token that ended one, -1 where it reached its most tokens; it is not in `tokens`.

    `agreed` and `p_of_reference` are 0 and nan where no other's answers were followed.
    """

    tokens: Int32s
    offsets: Int64s  # [prompts + 1]
    p_top: Float32s  # [tokens]: of the one that was written
    top_ids: Int32s  # [tokens, 8]: the likeliest there, the likeliest first
    top_p: Float32s  # [tokens, 8]
    end: Int32s  # [prompts]
    end_p: Float32s  # [prompts]: how likely the end was; nan where nothing ended it
    agreed: Int32s  # [prompts]: tokens from the start that are the other's too
    p_of_reference: Float32s  # [prompts]: of the other's token (or end) where they part; nan where they do not

    def answers(self) -> list[list[int]]:
        return _lists(self.tokens, self.offsets)


def write_tokens(path: Path, chunks: Sequence[Sequence[int]], firsts: Sequence[int], parts: Sequence[int]) -> None:
    save(path, {**_rows(chunks), "first": np.array(firsts, _I32), "part": np.array(parts, _I32)})


def read_tokens(path: Path) -> Text:
    arrays = load(path, _TEXT)
    _check(path, _divides(arrays["offsets"], arrays["tokens"]), _alike(arrays, "first", "part"))
    _check(path, len(arrays["first"]) == len(arrays["offsets"]) - 1)
    return Text(**arrays)


def write_prompts(path: Path, prompts: Sequence[Sequence[int]]) -> None:
    save(path, _rows(prompts))


def read_prompts(path: Path) -> list[list[int]]:
    arrays = load(path, _ROWS)
    _check(path, _divides(arrays["offsets"], arrays["tokens"]))
    return _lists(arrays["tokens"], arrays["offsets"])


def write_items(path: Path, contexts: Sequence[Sequence[int]], choices: Sequence[Sequence[Sequence[int]]]) -> None:
    """`choices`: for each context, the tokens of each of its choices."""
    every = _rows(list(chain.from_iterable(choices)))
    named = {"choice_tokens": every["tokens"], "choice_offsets": every["offsets"]}
    save(path, {**_rows(contexts), **named, "k": np.array([len(each) for each in choices], _I32)})


def read_items(path: Path) -> list[Item]:
    arrays = load(path, _ITEMS)
    contexts, choices = (arrays["tokens"], arrays["offsets"]), (arrays["choice_tokens"], arrays["choice_offsets"])
    k = arrays["k"].tolist()
    _check(path, _divides(contexts[1], contexts[0]), _divides(choices[1], choices[0]))
    _check(path, len(k) == len(contexts[1]) - 1, sum(k) == len(choices[1]) - 1)
    each = iter(_lists(*choices))
    return [Item(context, [next(each) for _ in range(k)]) for context, k in zip(_lists(*contexts), k, strict=True)]


def write_scores(path: Path, scores: Scores) -> None:
    save(path, _arrays(scores))


def read_scores(path: Path) -> Scores:
    arrays = load(path, _SCORES)
    _check(path, _alike(arrays, *_SCORES))
    return Scores(**arrays)


def write_written(path: Path, written: Written) -> None:
    save(path, _arrays(written))


def read_written(path: Path) -> Written:
    arrays = load(path, {**_ROWS, **_OF_TOKENS, **_OF_ANSWERS})
    _check(path, _divides(arrays["offsets"], arrays["tokens"]), _alike(arrays, "tokens", *_OF_TOKENS))
    _check(path, _alike(arrays, *_OF_ANSWERS), len(arrays["end"]) == len(arrays["offsets"]) - 1)
    return Written(**arrays)


def write_logp(path: Path, logp: Float32s) -> None:
    save(path, {"logp": logp})


def read_logp(path: Path) -> Float32s:
    """Of each choice of each item, the mean log-probability of its tokens."""
    return load(path, {"logp": _F32})["logp"]


def _rows(lists: Sequence[Sequence[int]]) -> dict[str, Array]:
    offsets = np.cumsum([0, *map(len, lists)], dtype=_I64)
    return {"tokens": np.fromiter(chain.from_iterable(lists), _I32, int(offsets[-1])), "offsets": offsets}


def _lists(tokens: Array, offsets: Array) -> list[list[int]]:
    return [tokens[start:end].tolist() for start, end in pairwise(offsets.tolist())]


def _arrays(values: Scores | Written) -> dict[str, Array]:
    return {field.name: np.asarray(getattr(values, field.name)) for field in fields(values)}


def _divides(offsets: Array, rows: Array) -> bool:
    return bool(len(offsets) and offsets[0] == 0 and offsets[-1] == len(rows) and (np.diff(offsets) >= 0).all())


def _alike(arrays: Mapping[str, Any], *names: str) -> bool:
    return len({len(arrays[name]) for name in names}) == 1


def _check(path: Path, *is_right: bool) -> None:
    if not all(is_right):
        raise DamagedFile(path)
