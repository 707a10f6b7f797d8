"""Scores a text with a model, position by position, against what is kept of the reference, or to keep that"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ggufrun.compare.results import Scores
from ggufrun.compare.scoring.base import MOST, Kept, keep
from ggufrun.compare.scoring.base_file import BaseReader, BaseWriter, Chunk
from ggufrun.compare.scoring.decoding import Tick, clear, step
from ggufrun.compare.scoring.distribution import Distribution, Row
from ggufrun.compare.scoring.divergence import NOT_FINITE, Divergence, diverge
from ggufrun.compare.scoring.files import Text
from ggufrun.engine.backend import Backend, Run
from ggufrun.errors import InputError


@dataclass(frozen=True, slots=True)
class Place:
    """A position that is scored."""

    index: int  # among all of them
    within: int  # among those of its chunk
    token: int  # the one that came


class Judge(Protocol):
    """What becomes of the positions."""

    def begin(self, chunk: int, positions: int) -> None:
        """A chunk begins; they come in their order."""

    def __call__(self, row: Distribution | None, place: Place) -> Divergence:
        """From several threads, each position once."""


class Against:
    """Judges by what is kept of the reference. Raises InputError if that is of another text or vocabulary."""

    def __init__(self, base: BaseReader, text: Text, vocabulary: int) -> None:
        if base.text != text.digest():
            raise InputError("What is kept of the reference is of another text.", "Measure the reference again.")
        if base.vocabulary != vocabulary:
            raise InputError(
                f"The reference's vocabulary has {base.vocabulary} tokens and this model's has {vocabulary}.",
                "Only quants of one model can be compared.",
            )
        self._base = base
        self._chunk: Chunk

    def begin(self, chunk: int, positions: int) -> None:
        self._chunk = self._base.chunk(chunk)

    def __call__(self, row: Distribution | None, place: Place) -> Divergence:
        return diverge(row, self._chunk.at(place.within), place.token)


class Keeper:
    """The reference's own judge: keeps what the others need."""

    def __init__(self, base: BaseWriter, most: int = MOST) -> None:
        """`most` tokens of a position: `base.room`."""
        self._base, self._most = base, most
        self._kept: list[Kept | None] | None = None

    def begin(self, chunk: int, positions: int) -> None:
        self.finish()
        self._kept = [None] * positions

    def finish(self) -> None:
        """The last chunk is over."""
        if self._kept is not None:
            self._base.add(self._kept)

    def __call__(self, row: Distribution | None, place: Place) -> Divergence:
        if row is None or self._kept is None:
            return NOT_FINITE
        kept = self._kept[place.within] = keep(row, place.token, self._most)
        return Divergence(kept.nll, 0.0, 0.0, True)


def score(backend: Backend, text: Text, judge: Judge, *, batch: int, threads: int, tick: Tick) -> Scores:
    """Each chunk from an empty context, in batches of `batch` rows; `threads` go through the logits of each."""
    found: list[Divergence] = [NOT_FINITE] * text.positions

    def judge_all(share: Sequence[tuple[Row, Place]]) -> None:
        for logits, place in share:
            found[place.index] = judge(Distribution.of(logits), place)

    index = 0
    with ThreadPoolExecutor(threads, "scoring") as pool:
        for chunk in range(len(text.first)):
            clear(backend, [0])
            judge.begin(chunk, int(text.counts[chunk]))
            for run, places in _batches(text, chunk, index, batch):
                step(backend, [run])
                rows = [(backend.logits(row), place) for row, place in enumerate(places)]
                list(pool.map(judge_all, (rows[first::threads] for first in range(threads))))  # raises what they raise
                index += len(places)
                tick(index, len(found))
    return _scores(text, found)


def _batches(text: Text, chunk: int, index: int, size: int) -> Iterator[tuple[Run, list[Place]]]:
    """A chunk's batches, each with the positions that its output rows are of, in their order."""
    first = int(text.first[chunk])
    tokens = text.tokens[text.offsets[chunk] : text.offsets[chunk + 1]].tolist()
    for start in range(0, len(tokens), size):
        part = tokens[start : start + size]
        end, scored = start + len(part), max(start, first)
        came = tokens[scored + 1 : end + 1]  # nothing comes after the chunk's last
        places = [Place(index + i, i, token) for i, token in enumerate(came, scored - first)]
        yield Run(0, start, part, max(0, end - scored)), places


def _scores(text: Text, found: Sequence[Divergence]) -> Scores:
    chunk = np.repeat(np.arange(len(text.first), dtype=np.int32), text.counts)
    within = np.arange(len(chunk)) - (np.cumsum(text.counts) - text.counts)[chunk]
    return Scores(
        nll=np.array([each.nll for each in found], np.float64),
        kld=np.array([each.kld for each in found], np.float64),
        dp=np.array([each.dp for each in found], np.float64),
        same_top=np.array([each.same_top for each in found], np.bool_),
        chunk=chunk,
        depth=(text.first[chunk] + 1 + within).astype(np.int32),
        part=text.part[chunk],
    )
