"""Batches over a backend that has room for them: one, or a whole sequence from its start"""

from collections.abc import Callable, Iterable, Sequence

from ggufrun.engine.backend import Backend, DecodeStatus, Run
from ggufrun.errors import EngineError

Tick = Callable[[int, int], None]  # so many of so many are done


def clear(backend: Backend, sequences: Iterable[int] | None = None) -> None:
    """Empty these sequences, all of them unless said."""
    for seq in range(backend.limits.sequences) if sequences is None else sequences:
        backend.truncate(seq, 0)


def step(backend: Backend, runs: Sequence[Run]) -> None:
    """Decode a batch that has room. Raises EngineError."""
    status = backend.decode(runs)
    if status is DecodeStatus.OK:
        return
    if status is DecodeStatus.FATAL:
        backend.reset()
    hint = "Give more --context." if status is DecodeStatus.NO_ROOM else "Try a smaller --context."
    raise EngineError(f"llama.cpp could not compute a batch ({status.name}).", hint)


def feed(backend: Backend, seq: int, tokens: Sequence[int], start: int = 0) -> None:
    """Decode a sequence from `start` on, in batches as large as they may be; the last token's logits are row 0."""
    size = backend.limits.batch
    for at in range(0, len(tokens), size):
        part = tokens[at : at + size]
        is_last = at + len(part) == len(tokens)
        step(backend, [Run(seq, start + at, part, int(is_last))])
