"""An estimate of llama.cpp's compute buffers, where it cannot be asked.

They hold a step's intermediate values, and are as large as its widest moment. There are three that can be: the logits,
a feed-forward network, and attention. What each holds was found by asking llama.cpp's CPU backend about made-up
models (see tests/fit/test_formulas.py): the sums below are nearly what it said for f16 caches; quantized ones can take
a third more. Other backends reserve the same graphs, with other gaps between the values.
"""

from dataclasses import dataclass
from typing import Final

from ggufrun.fit.cache import CacheSize, padded
from ggufrun.fit.layout import Layout
from ggufrun.fit.shape import Shape

_GAPS: Final = 1.1
_GAPS_QUANTIZED: Final = 1.3  # a quantized cache is rotated on the way in
_INPUTS: Final = 8 << 20
PICTURES: Final = 256 << 20  # of the last pictures' embeddings, as in `engine.pictures`, which keeps them
_COPIES: Final = 4  # of the inputs, where several GPUs work one after the other on several steps at once


@dataclass(frozen=True, slots=True)
class Work:
    """What one device computes: `layers` at all, the `output`; `streamed` bytes of weights come over from RAM."""

    layers: bool
    output: bool
    streamed: int = 0
    pipelined: bool = False


def compute_bytes(shape: Shape, layout: Layout, work: Work) -> int:
    """Of one device."""
    row = 4 * _rows(layout.size)
    masks = _masks(shape, layout)
    stages = [row * (shape.width + 1)]
    if work.output:
        stages.append(row * (shape.vocabulary + 2 * shape.width))
    if work.layers:
        stages.append(masks + row * (3 * shape.feed_forward + 3 * shape.width + shape.queries) + work.streamed)
        stages.append(masks + _attention(shape, layout))
    if shape.recurrent:
        state = max(kept.state for kept in shape.kept)
        stages.append(row * 8 * max(shape.width, 1) + 2 * state * layout.size.sequences)
    if work.pipelined:
        stages = [stage + (_COPIES - 1) * (masks + row * shape.width) for stage in stages]
    gaps = _GAPS if layout.size.kv_type == "f16" else _GAPS_QUANTIZED
    return int(max(stages) * gaps) + _INPUTS


def _masks(shape: Shape, layout: Layout) -> int:
    """Which rows see which cells: one for all layers, and one more for those with a window."""
    if not any(kept.keys for kept in shape.kept):
        return 0
    size = layout.size
    cells = padded(size.context)
    if any(kept.windowed for kept in shape.kept):
        cells += min(cells, padded(min(cells, shape.window * size.sequences + size.ubatch)))
    return cells * _rows(size) * (2 if layout.flash else 4)


def _attention(shape: Shape, layout: Layout) -> int:
    row = 4 * _rows(layout.size)
    values = row * (3 * shape.width + 2 * shape.queries)
    if layout.flash:
        return values
    keys = max((kept.keys for kept in shape.kept), default=0)
    return values + row * (padded(layout.size.context) * shape.heads * (keys > 0) + 2 * keys)


def _rows(size: CacheSize) -> int:
    """Of the widest step: llama.cpp rounds them up to as many for each sequence."""
    return -(-size.ubatch // size.sequences) * size.sequences


def projector_compute(width: int, feed_forward: int, image: int, patch: int) -> int:
    """About what the largest image takes while it is encoded: llama.cpp is not asked about projectors.

    As much as made-up Pixtrals of four sizes took on the processor, or up to a sixth more.
    """
    patches = (image // max(1, patch)) ** 2
    return int(4 * patches * (6 * width + 3.3 * feed_forward))
