"""A backend without a model: the next token is a hash of everything before it, and cells are counted as in llama.cpp.

It checks what the engine does to it: positions follow each other, sequences are known, copies go into empty ones, and
what stands for a picture is never computed as a token.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ggufrun.engine.backend import DecodeStatus, EncodingStopped, Limits, MemoryKind, Run, Sampler
from ggufrun.engine.types import SamplingParams

VOCABULARY = 64
END = 0
WIDE = b"with pictures"  # ends a saved state of 32-bit numbers
PICTURE = 1 << 20  # in the history, a row of a picture is this and its first number


def next_token(history: Sequence[int]) -> int:
    """What the fake model says after `history`: now and then the end, often what followed the last token before."""
    if len(history) > 8 and len(history) % 9:
        for at in range(len(history) - 2, 0, -1):
            if history[at] == history[-1] and history[at + 1] < PICTURE:
                return history[at + 1]
    value = 17
    for token in history:
        value = (value * 31 + token + 7) % 1_000_003
    return value % VOCABULARY


def rows_of(pixels: bytes) -> list[int]:
    """The first numbers of a picture's rows: one for each pixel."""
    return [pixels[at] + 3 * pixels[at + 1] + 7 * pixels[at + 2] + at for at in range(0, len(pixels), 3)]


@dataclass
class FakeEncoder:
    """A row a pixel. `hold` keeps it from finishing; what is in `faults` is raised, one by one."""

    calls: list[bytes] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def __post_init__(self) -> None:
        self.hold.set()

    def encode(
        self, width: int, height: int, pixels: bytes, stopped: Callable[[], bool] = lambda: False
    ) -> npt.NDArray[np.float32]:
        assert not self.closed and len(pixels) == 3 * width * height
        self.calls.append(pixels)
        while not self.hold.wait(0.005):
            if stopped():
                raise EncodingStopped
        if self.faults:
            raise self.faults.pop(0)
        rows = np.zeros((width * height, 4), np.float32)
        rows[:, 0] = rows_of(pixels)
        return rows

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeSampler:
    seen: list[int] = field(default_factory=list)
    closed: bool = False

    def accept(self, token: int) -> None:
        self.seen.append(token)

    def close(self) -> None:
        self.closed = True


class FakeBackend:
    def __init__(
        self,
        context: int = 256,
        sequences: int = 12,
        memory: MemoryKind = MemoryKind.FULL,
        window: int = 24,
        faults: Mapping[int, DecodeStatus] | None = None,
        vocabulary: int = VOCABULARY,
        end: int = END,
    ) -> None:
        self._limits, self._end = Limits(context, 64, sequences, vocabulary), end
        self._memory, self._window, self._faults = memory, window, faults or {}
        self.cells: dict[int, list[tuple[int, int]]] = {}  # sequence -> (cell id, token) by position
        self.held_from: dict[int, int] = {}  # SLIDING: first position still held
        self.samplers: list[FakeSampler] = []
        self.rows: list[npt.NDArray[np.float32]] = []
        self.steps, self._next_cell = 0, 0
        self.rests: list[int] = []  # after so many steps
        self.keep_rows: int | None = None
        self.batches: list[list[Run]] = []

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def memory(self) -> MemoryKind:
        return self._memory

    @property
    def used(self) -> int:
        return len({cell for held in self.cells.values() for cell, _ in held})

    def decode(self, runs: Sequence[Run]) -> DecodeStatus:
        rows = sum(len(run.tokens) for run in runs)
        assert 0 < rows <= self._limits.batch
        assert len({run.seq for run in runs}) == len(runs)
        assert len({run.embeddings is None for run in runs}) == 1, "tokens and pictures in one batch"
        self.steps += 1
        if self.steps in self._faults:
            return self._faults[self.steps]
        if self.used + rows > self._limits.context:
            return DecodeStatus.NO_ROOM
        self.batches.append(list(runs))
        self.rows = []
        for run in runs:
            held = self.cells.setdefault(run.seq, [])
            assert run.start == len(held), f"sequence {run.seq}: position {run.start} after {len(held)} cells"
            assert 0 <= run.seq < self._limits.sequences and 0 <= run.outputs <= len(run.tokens)
            for token in self._taken(run):
                held.append((self._next_cell, token))
                self._next_cell += 1
            first = len(held) - run.outputs
            history = [token for _, token in held]
            self.rows += [self._row(history[: end + 1]) for end in range(first, len(held))]
            if self._memory is MemoryKind.SLIDING:
                self.held_from[run.seq] = max(self.held_from.get(run.seq, 0), len(held) - 2 * self._window)
        return DecodeStatus.OK

    def _taken(self, run: Run) -> Sequence[int]:
        """What a run puts into the cells."""
        if run.embeddings is None:
            assert all(token >= 0 for token in run.tokens), "what stands for a picture is no token"
            return run.tokens
        assert run.outputs == 0 and len(run.embeddings) == len(run.tokens) and max(run.tokens) < 0
        return [PICTURE + int(row[0]) for row in run.embeddings]

    def _row(self, history: list[int]) -> npt.NDArray[np.float32]:
        row = np.zeros(self._limits.vocabulary, np.float32)
        row[next_token(history)] = 5.0
        return row

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        return self.rows[row]

    def new_sampler(self, params: SamplingParams) -> FakeSampler:
        self.samplers.append(FakeSampler())
        return self.samplers[-1]

    def sample(self, row: int, sampler: Sampler) -> int:
        assert isinstance(sampler, FakeSampler) and not sampler.closed
        token = int(self.rows[row].argmax())
        sampler.accept(token)
        return token

    def is_end(self, token: int) -> bool:
        return token == self._end

    def rest(self) -> None:
        self.rests.append(self.steps)

    def copy(self, source: int, target: int, length: int) -> None:
        assert not self.cells.get(target) and source != target
        if self._memory is MemoryKind.RECURRENT:
            assert length == len(self.cells[source]), "a recurrent state is copied whole"
        assert length <= len(self.cells[source])
        self.cells[target] = self.cells[source][:length]
        self.held_from[target] = self.held_from.get(source, 0)

    def truncate(self, seq: int, length: int) -> bool:
        held = self.cells.get(seq, [])
        if length == 0:
            self.cells.pop(seq, None)
            self.held_from.pop(seq, None)
            return True
        if self._memory is MemoryKind.RECURRENT:
            return length >= len(held)
        del held[length:]
        return True

    def covers(self, seq: int, length: int) -> bool:
        if self._memory is MemoryKind.SLIDING:
            return self.held_from.get(seq, 0) <= max(0, length - self._window)
        return True

    def state_size(self, seq: int) -> int:
        return len(self.cells[seq])

    def save(self, seq: int) -> bytes:
        tokens = [token for _, token in self.cells[seq]]
        return bytes(tokens) if max(tokens) < PICTURE else np.array(tokens, np.int32).tobytes() + WIDE

    def restore(self, seq: int, state: bytes) -> bool:
        assert not self.cells.get(seq)
        wide = state.endswith(WIDE)
        tokens = np.frombuffer(state.removesuffix(WIDE), np.int32).tolist() if wide else list(state)
        if self.used + len(tokens) > self._limits.context:
            return False
        self.cells[seq] = [(self._next_cell + i, token) for i, token in enumerate(tokens)]
        self._next_cell += len(tokens)
        return True

    def reset(self) -> None:
        self.cells.clear()
        self.held_from.clear()

    def close(self) -> None:
        self.reset()
