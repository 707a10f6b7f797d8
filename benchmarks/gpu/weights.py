"""GGUF files of real shapes, whole, with random weights: what a card computes and holds is as with real ones.

Only the text is noise. A few megabytes of random blocks are made for each type and written again and again, by several
threads: about as fast as memory takes them.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from gguf.constants import GGMLQuantizationType as Type

from ggufrun.weights.fields import TensorInfo
from ggufrun.weights.header import Header, read_header
from tests.shapes import KINDS, SMALL, ModelShape, Tensor, sliding, write_shape

Bytes = npt.NDArray[np.uint8]

STEP: Final = 32 << 20  # bytes of one write, about
WEIGHT: Final = 0.02  # the standard deviation of a weight: activations then keep their size


@dataclass(frozen=True, slots=True)
class Blocks:
    """One quantized type: the bytes of a block, and what in it is not random."""

    size: int
    scales: tuple[tuple[int, float], ...]  # the place of a float16, and its value
    small: tuple[int, int] | None = None  # from, to: signed bytes that are kept under 16


# The factors are the standard deviation of what the scale is multiplied with, if all its bits are random.
BLOCKS: Final[Mapping[int, Blocks]] = {
    Type.Q8_0: Blocks(34, ((0, WEIGHT / 74),)),
    Type.Q3_K: Blocks(110, ((108, WEIGHT / 43),)),
    Type.Q4_K: Blocks(144, ((0, WEIGHT / 218), (2, 7.5 * WEIGHT / 218))),
    Type.Q5_K: Blocks(176, ((0, WEIGHT / 440), (2, 15.5 * WEIGHT / 440))),
    Type.Q6_K: Blocks(210, ((208, WEIGHT / 170),), (192, 208)),
}


def first_layers(kind: str, layers: int) -> ModelShape:
    """A shape of tests/shapes.py with so many of its layers."""
    shape = KINDS[kind]()
    return replace(shape, metadata={**shape.metadata, "block_count": layers})


def retyped(shape: ModelShape, types: Mapping[Type, Type]) -> ModelShape:
    """The same with its layers' matrices in other types."""

    def layers(number: int) -> Iterator[Tensor]:
        for tensor in shape.layers(number):
            yield replace(tensor, type=types.get(tensor.type, tensor.type))

    return replace(shape, layers=layers)


# All but the last three are as large as real ones, some with fewer layers: each layer costs a card the same.
SHAPES: Final[Mapping[str, Callable[[], ModelShape]]] = {
    "small-24b": KINDS["small-24b"],  # 14.5 GB, as Q4_K_M
    "medium-4": partial(first_layers, "medium-3.5", 4),  # of 88; 5.8 GB
    "small4-4": partial(first_layers, "small-4", 4),  # of 36, experts and MLA; 8.4 GB
    "gemma-1b": partial(sliding, 26, 1280, 4, 256, 6912),  # 0.8 GB; the real one's 1,152 are no multiple of 256
    "ministral-3b": KINDS["ministral-3b"],  # 2.3 GB
    "small-q8": lambda: retyped(first_layers("small-24b", 10), {Type.Q4_K: Type.Q8_0, Type.Q6_K: Type.Q8_0}),
    "medium-q3": lambda: retyped(KINDS["medium-3.5"](), {Type.Q4_K: Type.Q3_K, Type.Q6_K: Type.Q4_K}),  # 58 GB, whole
    "dense": KINDS["dense"],
    "experts": KINDS["experts"],
    "sliding": KINDS["sliding"],
}


def write(kind: str, path: Path, *, tekken: bool = True, threads: int = 8) -> Path:
    """Write the whole model, with the vocabulary of 131,072 tokens unless told otherwise."""
    write_shape(SHAPES[kind](), f"random-{kind}", path, tekken=tekken)
    fill(path, threads)
    return path


def fill(path: Path, threads: int = 8) -> None:
    """Put random weights where the header says that tensors lie."""
    header = read_header(path)
    made = {kind: random_blocks(kind) for kind in {tensor.type for tensor in header.tensors} & BLOCKS.keys()}
    file = os.open(path, os.O_WRONLY)
    try:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda job: _write(file, *job), _jobs(header, made)):
                pass  # so that an error comes out here
    finally:
        os.close(file)


def random_blocks(kind: int) -> Bytes:
    """About a step's bytes of whole blocks of this type, scales finite."""
    blocks, rng = BLOCKS[kind], np.random.default_rng(kind)
    made = rng.integers(0, 256, (STEP // blocks.size, blocks.size), np.uint8)
    if blocks.small is not None:
        begin, end = blocks.small
        made[:, begin:end] = rng.integers(-16, 16, (len(made), end - begin), np.int8).view(np.uint8)
    for place, scale in blocks.scales:
        made[:, place : place + 2] = np.float16(scale).reshape(1).view(np.uint8)
    return made.reshape(-1)


def plain(tensor: TensorInfo) -> Bytes:
    """Of a tensor in F32: ones where it only scales, else random weights."""
    if len(tensor.shape) == 1:
        return np.ones(tensor.elements, np.float32).view(np.uint8)
    values = np.random.default_rng(1).standard_normal(tensor.elements, np.float32) * np.float32(WEIGHT)
    return values.view(np.uint8)


def _jobs(header: Header, made: Mapping[int, Bytes]) -> Iterator[tuple[int, Bytes, int]]:
    """What is written: the place in the file, bytes, and how many of them."""
    for tensor in header.tensors:
        place, left = header.data_offset + tensor.offset, tensor.size or 0
        source = made.get(tensor.type)
        if source is None:
            if tensor.type_name != "F32":
                raise SystemExit(f"no random weights are known for {tensor.type_name}")
            yield place, plain(tensor), left
            continue
        while left:
            count = min(left, len(source))
            yield place, source, count
            place, left = place + count, left - count


def _write(file: int, place: int, data: Bytes, count: int) -> None:
    view = data[:count].data
    while view:
        done = os.pwrite(file, view, place)
        view, place = view[done:], place + done


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), tekken=sys.argv[1] not in SMALL)
