"""The seam between the engine's policy and llama.cpp: what a model's context can do, in the engine's own words.

`ggufrun.llama` implements it for real; the tests' fake backend implements it without a model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ggufrun.engine.types import SamplingParams


class DecodeStatus(IntEnum):
    """llama_decode's return codes; every negative code is FATAL."""

    OK = 0
    NO_ROOM = 1  # nothing was changed: make room and try again
    ABORTED = 2
    FATAL = -1


class MemoryKind(StrEnum):
    """How much of a sequence's memory can be shared or taken back."""

    FULL = "full"  # any prefix
    SLIDING = "sliding"  # any prefix whose window is still held: ask `covers`
    RECURRENT = "recurrent"  # whole states only, nothing can be rolled back


@dataclass(frozen=True, slots=True)
class Limits:
    context: int  # cells, shared by all sequences
    batch: int  # rows in one decode
    sequences: int  # sequence ids: 0 .. sequences-1
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens of one sequence in a batch; logits are wanted for the last `outputs` of them.

    With `embeddings`, float32 [tokens, n_embd], those are computed, and the tokens only stand for them.
    """

    seq: int
    start: int  # position of the first token
    tokens: Sequence[int]
    outputs: int
    embeddings: npt.NDArray[np.float32] | None = field(default=None, compare=False)


class Sampler(Protocol):
    """One request's sampler chain, with its penalty history and random state."""

    def accept(self, token: int) -> None:
        """Record a token that was not sampled (forced by a grammar), so that penalties see it."""

    def close(self) -> None: ...


class Backend(Protocol):
    """One model's context. Owned by one thread."""

    @property
    def limits(self) -> Limits: ...
    @property
    def memory(self) -> MemoryKind: ...
    @property
    def keep_rows(self) -> int | None:
        """Rows of others after which an unused cell has cost as much as it saves. None: it costs them nothing."""

    def decode(self, runs: Sequence[Run]) -> DecodeStatus:
        """Compute all runs in one batch. On OK, output rows are numbered from 0 in the order of the runs.

        All of them have embeddings, or none.
        """

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """A writable view, float32 [vocabulary], of an output row; valid until the next decode."""

    def new_sampler(self, params: SamplingParams) -> Sampler: ...

    def sample(self, row: int, sampler: Sampler) -> int:
        """Sample from an output row as it stands (masks are written into `logits`) and record the token."""

    def is_end(self, token: int) -> bool:
        """Whether the token ends generation."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Share the first `length` positions of `source` with the empty sequence `target`, at no cost in cells."""

    def truncate(self, seq: int, length: int) -> bool:
        """Keep only the first `length` positions. False if the memory cannot (RECURRENT); 0 always works."""

    def covers(self, seq: int, length: int) -> bool:
        """Whether the sequence holds all that computing position `length` needs (its sliding window)."""

    def state_size(self, seq: int) -> int:
        """Bytes that `save` would return."""

    def save(self, seq: int) -> bytes: ...

    def restore(self, seq: int, state: bytes) -> bool:
        """Load a saved state into the empty sequence `seq`. False, and `seq` empty, if it does not fit."""

    def rest(self) -> None:
        """Leave the processors to others, a picture's encoder: there is nothing to compute before it is done."""

    def reset(self) -> None:
        """Rebuild the context after FATAL: every sequence is empty afterwards."""

    def close(self) -> None: ...


class EncodingStopped(Exception):
    """A picture was given up on the way, as it was asked for."""


class PictureEncoder(Protocol):
    """What turns pictures into rows for the model. Owned by one thread, which need not be the backend's."""

    def encode(
        self, width: int, height: int, pixels: bytes, stopped: Callable[[], bool] = lambda: False
    ) -> npt.NDArray[np.float32]:
        """Embeddings, float32 [rows, n_embd], of an RGB picture. Takes from milliseconds to minutes.

        `stopped` is asked now and then whether to give up: then EncodingStopped. Raises GgufrunError where it cannot;
        its file is opened at the first call.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    context: int  # tokens of the longest input
    batch: int  # rows of several inputs together; a longer input is computed alone
    inputs: int  # at once
    dimensions: int
    vocabulary: int


class EmbeddingBackend(Protocol):
    """An embedding model's context. Owned by one thread."""

    @property
    def limits(self) -> EmbeddingLimits: ...

    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """One row an input, float32 [inputs, dimensions], as the model gives them. EngineError where it cannot."""

    def reset(self) -> None:
        """Rebuild the context after an error."""

    def close(self) -> None: ...
