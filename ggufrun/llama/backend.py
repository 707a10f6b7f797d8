"""llama.cpp as the engine's Backend: decode, sample, and what its memory can share, cut, save and restore."""

import ctypes
import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as ll

from ggufrun.engine.backend import DecodeStatus, Limits, MemoryKind, Run, Sampler
from ggufrun.engine.types import SamplingParams
from ggufrun.errors import EngineClosed, InputError
from ggufrun.llama import library
from ggufrun.llama.batch import Batch
from ggufrun.llama.context import ContextPlan, cells_per_row, open_context
from ggufrun.llama.failures import reason
from ggufrun.llama.model import Model, Progress
from ggufrun.llama.openmp import give_back_threads
from ggufrun.llama.sampler import LlamaSampler
from ggufrun.settings import EngineSettings, ModelSettings

log = logging.getLogger(__name__)

_END = -1  # to the end of the sequence
_BYTES = ctypes.POINTER(ctypes.c_uint8)


class LlamaBackend:
    """One context over a model, which it owns. One thread uses it."""

    def __init__(self, model: Model, plan: ContextPlan) -> None:
        self.model = model
        self._vocab = ll.llama_model_get_vocab(model.handle)
        self._vocabulary = int(ll.llama_vocab_n_tokens(self._vocab))
        self._context: Any = None
        self._kv: Any = None
        self._rows: npt.NDArray[np.float32] | None = None  # the output rows, once asked for
        self._outputs = 0
        self.reopen(plan)

    @classmethod
    def load(
        cls, settings: ModelSettings, engine: EngineSettings | None = None, progress: Progress | None = None
    ) -> "LlamaBackend":
        """Load the weights and make the context. Raises ModelFileError, OptionError or OutOfMemory."""
        model = Model.load(settings, progress)
        try:
            return cls(model, ContextPlan.make(model, settings, engine or EngineSettings()))
        except InputError:
            model.close()
            raise

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def memory(self) -> MemoryKind:
        return self.model.memory

    @cached_property
    def keep_rows(self) -> int | None:
        """Without flash attention a row looks at all cells up to the highest in use, whoever holds them.

        A prompt's row pays what `cells_per_row` says, a generated one three times that (benchmarks/NOTES.md).
        """
        off = self.plan.flash_attention == ll.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return cells_per_row(self.model) // 2 if off and self.memory is MemoryKind.FULL else None

    def decode(self, runs: Sequence[Run]) -> DecodeStatus:
        self._rows = None
        self._outputs = outputs = self._batch.fill(runs)
        if not runs:
            return DecodeStatus.OK
        code = ll.llama_decode(self._open(), self._batch.native)
        if code == DecodeStatus.OK:
            return DecodeStatus.OK
        self._outputs = 0
        if code < 0:
            log.error("llama_decode failed with %d: %d rows, %d outputs", code, self._batch.native.n_tokens, outputs)
            return DecodeStatus.FATAL
        return DecodeStatus(code)

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        if not 0 <= row < self._outputs:
            raise IndexError(f"output row {row} of {self._outputs}")
        view: npt.NDArray[np.float32] = self._matrix()[row]
        return view

    def new_sampler(self, params: SamplingParams) -> Sampler:
        return LlamaSampler(params, self._vocabulary)

    def sample(self, row: int, sampler: Sampler) -> int:
        if not isinstance(sampler, LlamaSampler):
            raise TypeError(f"{type(sampler).__name__} is another backend's sampler")
        if sampler.chain is None:
            return int(self.logits(row).argmax())
        if not 0 <= row < self._outputs:
            raise IndexError(f"output row {row} of {self._outputs}")
        # a negative index counts output rows from the last; a positive one would count the batch's rows
        return int(ll.llama_sampler_sample(sampler.chain, self._context, row - self._outputs))

    def is_end(self, token: int) -> bool:
        return bool(ll.llama_vocab_is_eog(self._vocab, token))

    def copy(self, source: int, target: int, length: int) -> None:
        if self.memory is MemoryKind.RECURRENT:  # whole states only: llama.cpp would ignore the range
            ll.llama_memory_seq_cp(self._kv, source, target, 0, _END)
        else:
            ll.llama_memory_seq_cp(self._kv, source, target, 0, length)

    def truncate(self, seq: int, length: int) -> bool:
        if length <= 0:
            ll.llama_memory_seq_rm(self._kv, seq, 0, _END)
            return True
        if self.memory is MemoryKind.RECURRENT:
            return self._last(seq) < length
        return bool(ll.llama_memory_seq_rm(self._kv, seq, length, _END))

    def covers(self, seq: int, length: int) -> bool:
        if length <= 0:
            return True
        last = self._last(seq)
        if self.memory is MemoryKind.RECURRENT:  # the state stands for its last position only
            return last == length - 1
        first = int(ll.llama_memory_seq_pos_min(self._kv, seq))
        needed = max(0, length - self.model.window) if self.model.window else 0
        return 0 <= first <= needed and last >= length - 1

    def state_size(self, seq: int) -> int:
        return int(ll.llama_state_seq_get_size(self._open(), seq))

    def save(self, seq: int) -> bytes:
        size = self.state_size(seq)
        buffer = np.empty(size, np.uint8)
        written = ll.llama_state_seq_get_data(self._context, buffer.ctypes.data_as(_BYTES), size, seq)
        return buffer[:written].tobytes()

    def restore(self, seq: int, state: bytes) -> bool:
        with library.captured_log() as lines:
            source = ctypes.cast(ctypes.c_char_p(state), _BYTES)
            read = ll.llama_state_seq_set_data(self._open(), source, len(state), seq)
        if state and read == len(state):
            return True
        log.info("a saved state was refused: %s", reason(lines))
        self.truncate(seq, 0)
        return False

    def rest(self) -> None:
        give_back_threads()

    def reset(self) -> None:
        self.reopen(self.plan)

    def reopen(self, plan: ContextPlan) -> None:
        """Another context over the same weights, empty. Raises OutOfMemory or OptionError; then there is none."""
        self._free()
        self.plan = plan
        self._context = open_context(self.model, plan)
        self._kv = ll.llama_get_memory(self._context)
        self._limits = Limits(
            # llama.cpp rounds up to 256 cells; the number that was asked for is the one that callers quote
            context=plan.context,
            batch=int(ll.llama_n_batch(self._context)),
            sequences=plan.sequences,
            vocabulary=self._vocabulary,
        )
        self._batch = Batch(self._limits.batch)

    def close(self) -> None:
        self._free()
        self.model.close()

    def _open(self) -> Any:
        if self._context is None:
            raise EngineClosed
        return self._context

    def _free(self) -> None:
        self._rows, self._outputs, self._kv = None, 0, None
        if self._context is not None:
            context, self._context = self._context, None
            ll.llama_free(context)

    def _last(self, seq: int) -> int:
        """The last position that the sequence holds, -1 if it is empty."""
        return int(ll.llama_memory_seq_pos_max(self._kv, seq))

    def _matrix(self) -> npt.NDArray[np.float32]:
        """All output rows, float32 [outputs, vocabulary], in llama.cpp's own memory; waits for the computation."""
        if self._rows is None:
            address = ctypes.addressof(ll.llama_get_logits(self._open()).contents)
            memory = (ctypes.c_float * (self._outputs * self._vocabulary)).from_address(address)
            self._rows = np.frombuffer(memoryview(memory), np.float32).reshape(self._outputs, self._vocabulary)
        return self._rows
