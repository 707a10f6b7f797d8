"""An estimate of llama.cpp's compute buffers, where it cannot be asked.

They hold a step's intermediate values, and are as large as its widest moment. There are three that can be: the logits,
a feed-forward network, and attention. What each holds was found by asking llama.cpp about made-up models: its CPU
backend, where quantized caches can take a third more, and its CUDA backend on one card (see
tests/fit/test_formulas.py). Other backends reserve the same graphs, with other gaps between the values.
"""

from dataclasses import dataclass, replace
from typing import Final

from ggufrun.fit.attention import Kept
from ggufrun.fit.cache import CacheSize, layer_bytes, padded
from ggufrun.fit.layout import Layout
from ggufrun.fit.shape import Shape

_GAPS: Final = 1.1
_GAPS_QUANTIZED: Final = 1.3  # a quantized cache is rotated on the way in
_GAPS_GPU: Final = 1.015
_INPUTS: Final = 8 << 20
PICTURES: Final = 256 << 20  # of the last pictures' embeddings, as in `engine.pictures`, which keeps them
_COPIES: Final = 4  # of the inputs, where several GPUs work one after the other on several steps at once


@dataclass(frozen=True, slots=True)
class Work:
    """What one device computes: `layers` at all, the `output`; `streamed` bytes of weights come over from another."""

    layers: bool
    output: bool
    streamed: int = 0
    pipelined: bool = False
    processor: bool = False  # else a GPU


def compute_bytes(shape: Shape, layout: Layout, work: Work) -> int:
    """Of one device."""
    if not work.processor:
        return int(max(_on_gpu(shape, layout, work)) * _GAPS_GPU) + _INPUTS
    if layout.gpu_layers:
        return int(max(_beside_gpus(shape, layout, work)) * _GAPS_GPU) + _INPUTS
    gaps = _GAPS if layout.size.kv_type == "f16" else _GAPS_QUANTIZED
    return int(max(_alone(shape, layout, work)) * gaps) + _INPUTS


def _alone(shape: Shape, layout: Layout, work: Work) -> list[int]:
    """The processor, where it computes everything."""
    row = 4 * _rows(layout.size)
    masks = _masks(shape, layout)
    stages = [row * (shape.width + 1), *_states(shape, layout)]
    if work.output:
        stages.append(row * (shape.vocabulary + 2 * shape.width))
    if work.layers:
        stages.append(masks + row * (3 * shape.feed_forward + 3 * shape.width + shape.queries))
        stages.append(masks + row * shape.width + _attention(shape, layout))
    return stages


def _on_gpu(shape: Shape, layout: Layout, work: Work) -> list[int]:
    """Weights and caches in RAM are copied to it one by one, to compute prompts with them."""
    row, width, between = 4 * _rows(layout.size), shape.width, shape.feed_forward
    masks = _masks(shape, layout)
    # What the experts of a token make is kept apart until it is added up.
    experts = 3 * shape.experts_used * width
    stages = [masks + row * (3 * between + 2 * width + shape.queries + experts + shape.experts_used * width)]
    stages.append(masks + row * (2 * between + 4 * width + shape.queries) + work.streamed)
    attention = masks + _attention(shape, layout)
    if layout.flash:
        attention += _widened(shape, layout)
    if work.streamed and layout.start(shape.layers):
        attention += 2 * max(layer_bytes(kept, shape.window, layout.size) - _state(kept, layout) for kept in shape.kept)
    stages += [attention, *_states(shape, layout)]
    if work.output:
        stages.append(row * (shape.vocabulary + width + experts))
    if work.pipelined:
        stages = [stage + (_COPIES - 1) * (masks + row * width) for stage in stages]
    return stages


def _beside_gpus(shape: Shape, layout: Layout, work: Work) -> list[int]:
    """RAM: a step's inputs, and what the processor makes of experts whose weights no GPU computes with.

    Other layers in RAM take little: long steps are computed on a GPU, and rows for single tokens are short.
    """
    row = 4 * _rows(layout.size)
    masks = _masks(shape, layout)
    places = 0 if layout.flash else 2 * max((kept.values for kept in shape.kept), default=0)  # each value's cell
    stages = [masks + row * (2 * shape.width + places), *_states(shape, layout)]
    if shape.experts_used:
        made = shape.feed_forward + (shape.experts_used + 1) * shape.width
        stages.append(masks + row * made + work.streamed)
    return stages


def _states(shape: Shape, layout: Layout) -> list[int]:
    if not shape.recurrent:
        return []
    row, state = 4 * _rows(layout.size), max(kept.state for kept in shape.kept)
    return [row * 8 * max(shape.width, 1) + 2 * state * layout.size.sequences]


def _state(kept: Kept, layout: Layout) -> int:
    return kept.state * layout.size.sequences


def _widened(shape: Shape, layout: Layout) -> int:
    """CUDA's flash attention reads prompts' keys and values in f16: of one layer at a time, all cells."""
    if layout.size.kv_type == "f16":
        return 0
    wide = replace(layout.size, kv_type="f16")
    return max(layer_bytes(kept, shape.window, wide) - _state(kept, layout) for kept in shape.kept)


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
    compressed = any(kept.keys and not kept.values for kept in shape.kept)
    values = row * (2 * shape.width + (4 if compressed else 2) * shape.queries)
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
