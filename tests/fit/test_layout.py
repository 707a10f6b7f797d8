"""Which layer goes where: llama.cpp's rules, and the options that make it do what was planned."""

import re
from bisect import bisect_right
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from ggufrun.fit.cache import CacheSize
from ggufrun.fit.layout import Layout, split_counts
from ggufrun.fit.placement import Placement
from ggufrun.fit.shape import shape_of
from tests.fit.planned import header_of

SIZE = CacheSize(4096, "f16", 512, 32)


def as_llama_cpp(shares: tuple[float, ...], gpu_layers: int, layers: int) -> list[int]:
    """The device of each layer, by the rule of llama_model::load_tensors; -1: none."""
    bounds = np.cumsum(np.array(shares, dtype=np.float32), dtype=np.float32)
    bounds /= bounds[-1]
    start, taken = max(layers - gpu_layers, 0), min(gpu_layers, layers)
    return [
        -1 if layer < start else bisect_right(bounds.tolist(), float(np.float32(layer - start) / np.float32(taken)))
        for layer in range(layers)
    ]


@pytest.mark.parametrize("layers", [25, 41, 89])
def test_counts_as_tensor_split_give_those_counts(layers: int) -> None:
    """Also where a share cannot be written exactly in 32 bits."""
    for first, second in product(range(0, layers + 1, 7), range(0, layers + 1, 5)):
        if first + second > layers:
            continue
        for counts in ((first, layers - first), (first, second, layers - first - second), (first + 1, second + 2)):
            total = sum(counts)
            placed = as_llama_cpp(tuple(map(float, counts)), total, layers + 3)
            assert [placed.count(gpu) for gpu in range(len(counts))] == list(counts)
            assert split_counts([float(count) for count in counts], total) == counts


@pytest.mark.parametrize("shares", [(3.0, 1.0), (1.0, 1.0, 1.0), (0.3, 0.7), (24.0, 11.5), (0.0, 1.0)])
def test_any_tensor_split(shares: tuple[float, ...]) -> None:
    for gpu_layers in (1, 2, 17, 41):
        placed = as_llama_cpp(shares, gpu_layers, 41)
        assert split_counts(shares, gpu_layers) == tuple(placed.count(gpu) for gpu in range(len(shares)))


def test_the_last_layers_are_on_gpus_and_the_output_with_them() -> None:
    layout = Layout(SIZE, True, (2, 3))
    assert layout.devices(9) == [-1, -1, -1, -1, 0, 0, 1, 1, 1] and layout.gpu_layers == 5


@pytest.mark.parametrize("kind, role", [("small-4", "experts"), ("ministral-14b", "ffn")])
@pytest.mark.parametrize("gpu_layers, lowered", [(30, 1), (30, 12), (30, 29), ("all", 3), ("all", 36), ("all", 40)])
def test_the_override_names_what_is_lowered_and_nothing_else(
    kind: str, role: str, gpu_layers: object, lowered: int
) -> None:
    shape = shape_of([header_of(kind)])
    count = shape.layers if gpu_layers == "all" else int(str(gpu_layers))
    if lowered > count - 1:
        return
    layout = Layout(SIZE, True, (count,), lowered, role)  # type: ignore[arg-type]
    (text,) = layout.overrides(shape.layers)
    assert text.endswith("=CPU") and "," not in text  # which separates several
    assert replace(layout, kept=("a=CPU",)).overrides(shape.layers) == ("a=CPU", text)
    pattern = re.compile(text.removesuffix("=CPU"))
    start = layout.start(shape.layers)
    on_gpu = {w.name for w in shape.weights if w.layer is not None and w.layer >= start}
    meant = {w.name for w in shape.weights if w.role == role and w.layer in range(start, start + lowered)}
    assert {name for name in on_gpu if pattern.search(name)} == meant and meant


def test_bytes_are_only_moved() -> None:
    shape = shape_of([header_of("small-4")])
    placement = Placement(shape, ["CUDA0", "CUDA1"])
    whole = placement.uses(Layout(SIZE, True, (0, 0)))
    for counts, lowered in product(((3, 0), (0, 5), (20, 17), (10, 20)), (0, 2)):
        uses = placement.uses(Layout(SIZE, True, counts, lowered, "experts"))
        assert sum(use.kv for use in uses) == whole[-1].kv
        assert sum(use.read for use in uses) == pytest.approx(whole[-1].read)
        padding = sum(use.weights for use in uses) - whole[-1].weights
        assert 0 <= padding < 128 * len(shape.weights)


def test_a_pinned_override_moves_weights_and_no_cache() -> None:
    shape = shape_of([header_of("small-4")])
    free, pinned = (Placement(shape, ["CUDA0"], texts) for texts in ((), ("exps=CPU", r"blk\.0\.attn_q_a\.w=CUDA0")))
    layout = Layout(SIZE, True, (shape.layers,))
    before, after = free.uses(layout), pinned.uses(layout)
    experts = sum(weight.gpu for weight in shape.weights if weight.role == "experts")
    assert before[0].weights - after[0].weights == experts and before[0].kv == after[0].kv
    in_ram = pinned.uses(Layout(SIZE, True, (0,)))
    moved = next(weight for weight in shape.weights if weight.name == "blk.0.attn_q_a.weight")
    assert in_ram[0].weights == moved.gpu
