"""llama_batch over numpy memory, so that a step's rows are written with four assignments."""

import ctypes
from collections.abc import Sequence

import numpy as np
from llama_cpp import llama_cpp as ll

from ggufrun.engine.backend import Run


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
        self.native = self._struct()

    def fill(self, runs: Sequence[Run]) -> int:
        """Write the runs; returns the number of output rows. ValueError if they do not fit."""
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
        self._tokens[:rows] = tokens
        self._positions[:rows] = positions
        self._sequences[:rows] = sequences
        self._wanted[:rows] = wanted
        self.native.n_tokens = rows
        return outputs

    def _struct(self) -> ll.llama_batch:
        int32, int8 = ctypes.POINTER(ctypes.c_int32), ctypes.POINTER(ctypes.c_int8)
        return ll.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(int32),
            embd=None,
            pos=self._positions.ctypes.data_as(int32),
            n_seq_id=self._counts.ctypes.data_as(int32),
            seq_id=self._pointers.ctypes.data_as(ctypes.POINTER(int32)),
            logits=self._wanted.ctypes.data_as(int8),
        )
