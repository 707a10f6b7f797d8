"""How large the KV cache is: llama.cpp's own sizes, for contexts as ggufrun makes them (unified, windows not full)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ggufrun.fit.attention import Kept
from ggufrun.settings import EngineSettings, KvType

if TYPE_CHECKING:  # a model that obviously fits needs no shape
    from ggufrun.fit.shape import Shape

_CELLS: Final = 256  # llama.cpp rounds a cache up to so many
_MOST_SEQUENCES: Final = 256  # llama_max_parallel_sequences
_ROW: Final[dict[KvType, tuple[int, int]]] = {"f16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18)}  # elements, bytes


@dataclass(frozen=True, slots=True)
class CacheSize:
    """`context` in tokens, shared by all sequences; `ubatch` rows are computed at once."""

    context: int
    kv_type: KvType
    ubatch: int
    sequences: int


def sequences_of(shape: "Shape", engine: EngineSettings) -> int:
    """As `llama.context.ContextPlan` counts them: those that generate, and those that are kept."""
    kept = engine.cached_sequences
    if shape.recurrent:  # each has a whole state of its own
        kept = min(kept, engine.parallel)
    return min(engine.parallel + kept, _MOST_SEQUENCES)


def layer_bytes(kept: Kept, window: int, size: CacheSize) -> int:
    """Of one layer."""
    cells = padded(size.context)
    if kept.windowed:
        cells = min(cells, padded(min(cells, window * size.sequences + size.ubatch)))
    return cells * cell_bytes(kept, size.kv_type) + kept.state * size.sequences


def layer_read(kept: Kept, window: int, size: CacheSize) -> float:
    """Bytes that one token reads, a quarter of the context behind it."""
    cells = size.context / 4
    if kept.windowed:
        cells = min(cells, window)
    return cells * cell_bytes(kept, size.kv_type) + kept.state


def cell_bytes(kept: Kept, kv_type: KvType) -> int:
    block, size = _ROW[kv_type]
    return sum(elements * size // block for elements in (kept.keys, kept.values))


def padded(cells: int) -> int:
    return -(-cells // _CELLS) * _CELLS
