"""llama_batch over numpy memory, so that a step's rows are written with four assignments."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as ll

from ggufrun.engine.backend import Run

_INT32, _FLOAT = ctypes.POINTER(ctypes.c_int32), ctypes.POINTER(ctypes.c_float)


class Batch:
    """Room for `size` rows. `native` is what llama_decode takes, valid as long as this object."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._sequences = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        # one sequence a row, so these two never change
        self._counts = np.ones(size, np.int32)
        self._pointers = self._sequences.ctypes.data + np.arange(size, dtype=np.uintp) * self._sequences.itemsize
        self._embeddings: npt.NDArray[np.float32] | None = None
        self.native = self._struct()

    def fill(self, runs: Sequence[Run]) -> int:
        """Write the runs; returns the number of output rows. ValueError if they do not fit, or are of both kinds."""
        tokens: list[int] = []
        positions: list[int] = []
        sequences: list[int] = []
        wanted: list[int] = []
        outputs = 0
        for run in runs:
            count = len(run.tokens)
            outputs += run.outputs
            if count == 1:
                tokens.append(run.tokens[0])
                positions.append(run.start)
                sequences.append(run.seq)
                wanted.append(run.outputs)
            else:
                tokens += run.tokens
                positions += range(run.start, run.start + count)
                sequences += [run.seq] * count
                wanted += [0] * (count - run.outputs) + [1] * run.outputs
        rows = len(tokens)
        if rows > self.size:
            raise ValueError(f"{rows} rows in a batch of {self.size}")
        self._embed(runs)
        self._tokens[:rows] = tokens
        self._positions[:rows] = positions
        self._sequences[:rows] = sequences
        self._wanted[:rows] = wanted
        self.native.n_tokens = rows
        return outputs

    def _embed(self, runs: Sequence[Run]) -> None:
        """Point to the runs' embeddings if they have any, else to the tokens: llama.cpp reads one of the two."""
        parts = [run.embeddings for run in runs if run.embeddings is not None]
        if not parts and self._embeddings is None:
            return
        if len(parts) not in (0, len(runs)):
            raise ValueError("tokens and embeddings in one batch")
        if any(run.embeddings is not None and len(run.embeddings) != len(run.tokens) for run in runs):
            raise ValueError("more or fewer embeddings than tokens")  # llama.cpp would read what lies behind them
        self._embeddings = np.ascontiguousarray(np.concatenate(parts), np.float32) if parts else None
        native: Any = self.native
        if self._embeddings is None:
            native.token, native.embd = self._tokens.ctypes.data_as(_INT32), None
        else:
            native.token, native.embd = None, self._embeddings.ctypes.data_as(_FLOAT)

    def _struct(self) -> ll.llama_batch:
        return ll.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(_INT32),
            embd=None,
            pos=self._positions.ctypes.data_as(_INT32),
            n_seq_id=self._counts.ctypes.data_as(_INT32),
            seq_id=self._pointers.ctypes.data_as(ctypes.POINTER(_INT32)),
            logits=self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )
