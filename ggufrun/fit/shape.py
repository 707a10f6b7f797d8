"""What a model is made of, from its headers: which weights each layer has, and what each layer keeps of a token.

Sizes are exact. Where the weights and caches go is in `placement`, how large caches are in `cache`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ggufrun.fit.attention import Kept, kept_of
from ggufrun.weights.fields import TensorInfo
from ggufrun.weights.ggml_types import TENSOR_TYPES
from ggufrun.weights.header import Header
from ggufrun.weights.numbers import largest, loaded_layers, number

Role = Literal["rest", "ffn", "experts"]

_BLOCK: Final = re.compile(r"blk\.(\d+)\.")
_INPUT: Final = re.compile(r"(token_embd|position_embd|token_types|per_layer_token_embd)")
_EXPERTS: Final = re.compile(r"\.ffn_\w+_(?:ch)?exps\b")
_FFN: Final = re.compile(r"\.ffn_(?:up|down|gate|gate_up)\.weight$")
_RAM_ALIGNMENT: Final = 32
_GPU_ALIGNMENT: Final = 128  # CUDA's; others ask for less
_GPU_ROW: Final = 512  # elements: CUDA pads a quantized tensor's last row to a multiple of these


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor. `layer` is None for what is looked up by token, and the number of layers for the output."""

    name: str
    layer: int | None
    role: Role
    ram: int  # bytes in RAM
    gpu: int  # bytes on a GPU, padding included
    read: float  # bytes that one token reads


@dataclass(frozen=True, slots=True)
class Shape:
    """Elements and counts; `kept` and the weights of layer i belong together."""

    architecture: str
    kept: tuple[Kept, ...]  # one a layer
    weights: tuple[Weight, ...]
    tied: bool  # the output is the token embedding once more
    context_train: int
    window: int  # cells that sliding layers look back; 0: no such layers
    width: int
    feed_forward: int  # elements that one token has between up and down, of all experts that it uses
    queries: int
    heads: int
    vocabulary: int
    experts: int
    experts_used: int  # by one token; 0 without experts
    known: bool  # the cache's size follows from the header for this architecture

    @property
    def layers(self) -> int:
        """As --gpu-layers counts: the output is one."""
        return len(self.kept) + 1

    @property
    def recurrent(self) -> bool:
        return any(kept.state for kept in self.kept)

    @property
    def weight_bytes(self) -> int:
        return sum(weight.ram for weight in self.weights)


def shape_of(headers: Sequence[Header], scale: float = 1.0) -> Shape:
    """`headers` are a split set's, the first file's first. `scale`: as in `Subject`. Raises ModelFileError."""
    first, name = headers[0], headers[0].architecture
    kept, known = kept_of(first)
    used, experts = number(first, "expert_used_count"), number(first, "expert_count")
    share = min(1.0, used / experts) if experts and used else 1.0
    weights = tuple(_weights(headers, len(kept), loaded_layers(first), share, scale))
    heads, width = largest(first, "attention.head_count"), number(first, "embedding_length")
    head = number(first, "attention.key_length")
    between = number(first, "expert_feed_forward_length") if experts else 0
    names = {weight.name for weight in weights}
    return Shape(
        architecture=name,
        kept=kept,
        weights=weights,
        tied="output.weight" not in names and "bert" not in name and "token_embd.weight" in names,
        context_train=first.context_train or 0,
        window=number(first, "attention.sliding_window"),
        width=width,
        feed_forward=(used or 1) * (between or largest(first, "feed_forward_length")),
        queries=heads * (head or width // max(1, heads)),
        heads=heads,
        vocabulary=_vocabulary(headers),
        experts=experts,
        experts_used=used if experts else 0,
        known=known,
    )


def _weights(headers: Sequence[Header], layers: int, end: int, share: float, scale: float) -> Iterator[Weight]:
    """Layers from `end` on only predict ahead, and are not loaded."""
    for header in headers:
        sizes = _sizes(header)
        for tensor in header.tensors:
            layer = _layer(tensor.name, layers)
            if layer is not None and end <= layer < layers:
                continue
            role = _role(tensor.name)
            size = sizes[tensor.name] * scale
            read = 0.0 if layer is None else size * (share if role == "experts" else 1.0)
            on_gpu = _up(int(size + _row_padding(tensor)), _GPU_ALIGNMENT)
            yield Weight(tensor.name, layer, role, _up(int(size), _RAM_ALIGNMENT), on_gpu, read)


def _layer(name: str, layers: int) -> int | None:
    if match := _BLOCK.match(name):
        return min(int(match[1]), layers - 1)
    return None if _INPUT.match(name) else layers


def _role(name: str) -> Role:
    if _EXPERTS.search(name):
        return "experts"
    return "ffn" if _FFN.search(name) else "rest"


def _sizes(header: Header) -> dict[str, int]:
    """Bytes of each tensor; of a type that is not known here, up to where the next one begins."""
    ordered = sorted(header.tensors, key=lambda tensor: tensor.offset)
    ends = [tensor.offset for tensor in ordered[1:]] + [max(0, header.file_size - header.data_offset)]
    return {
        tensor.name: tensor.size if tensor.size is not None else max(0, end - tensor.offset)
        for tensor, end in zip(ordered, ends, strict=True)
    }


def _row_padding(tensor: TensorInfo) -> int:
    kind = TENSOR_TYPES.get(tensor.type)
    if kind is None or kind.block == 1 or not tensor.shape or not tensor.shape[0] % _GPU_ROW:
        return 0
    return (_GPU_ROW - tensor.shape[0] % _GPU_ROW) // kind.block * kind.size


def _vocabulary(headers: Sequence[Header]) -> int:
    for header in headers:
        for tensor in header.tensors:
            if tensor.name == "token_embd.weight" and len(tensor.shape) > 1:
                return tensor.shape[1]
    return 0


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
