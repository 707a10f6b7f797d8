"""What each layer keeps of the tokens behind it, from a header: keys and values, a window's worth of them, or a state.

Which layers have a window or a state is often not in the header: llama.cpp knows it by the architecture's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ggufrun.weights.fields import ArrayField
from ggufrun.weights.header import Header
from ggufrun.weights.numbers import each_layers, largest, layers_of, loaded_layers, number


@dataclass(frozen=True, slots=True)
class Kept:
    """Of one layer. A layer that keeps nothing has zeros."""

    keys: int = 0  # elements a cell
    values: int = 0
    windowed: bool = False
    state: int = 0  # bytes a sequence, however long it is


# Every n-th layer sees everything, the others a window: llama.cpp's own numbers.
_PERIODS: Final[Mapping[str, int]] = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma-embedding": 6,
    "gemma3n": 5,
    "cohere2": 4,
    "gpt-oss": 2,
    "olmo2": 4,
    "exaone4": 4,
    "afmoe": 4,
}
_NO_WINDOW: Final = ("phi3", "phimoe", "llama", "mistral3", "mistral4", "qwen2", "qwen2moe", "qwen3", "qwen3moe")
_ALL_RECURRENT: Final = ("mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7")
_BOTH: Final = ("falcon-h1",)  # attention and a state in each layer
_EVERY_FOURTH_ATTENDS: Final = ("qwen3next", "qwen35", "qwen35moe")


def kept_of(header: Header) -> tuple[tuple[Kept, ...], bool]:
    """One for each layer; and whether that is sure. Raises ModelFileError for numbers that no model has."""
    name, count, end = header.architecture, layers_of(header), loaded_layers(header)
    if header.metadata.get(f"{name}.attention.causal") is False:
        return (Kept(),) * count, True
    heads, (windowed, known) = _kv_heads(header, count), _windowed(header, count)
    shared = number(header, "attention.shared_kv_layers")
    owning = 20 if name == "gemma3n" else count - shared  # the layers behind them look into their caches
    state = _state(header)
    known = known and not (state and _unknown_hybrid(header))
    return tuple(
        _kept(
            header,
            heads[i] if i < min(end, owning) else 0,
            windowed[i],
            state if i < end and _recurs(name, i, heads[i]) else 0,
        )
        for i in range(count)
    ), known


def _kept(header: Header, heads: int, windowed: bool, state: int) -> Kept:
    name = header.architecture
    if name in _ALL_RECURRENT or (state and name not in _BOTH):
        return Kept(state=state)
    if not heads:
        return Kept(state=state)
    keys, values = (_head(header, side, windowed) * heads for side in ("key", "value"))
    if number(header, "attention.key_length_mla"):
        values = 0  # a compressed row is both
    return Kept(keys, values, windowed, state)


def _head(header: Header, side: str, windowed: bool) -> int:
    """Elements of one head's key or value."""
    own = number(header, f"attention.{side}_length_swa") if windowed else 0
    if length := own or number(header, f"attention.{side}_length"):
        return length
    heads = largest(header, "attention.head_count")
    return number(header, "embedding_length") // heads if heads else 0


def _kv_heads(header: Header, count: int) -> list[int]:
    listed = each_layers(header, "attention.head_count_kv", count)
    if listed is None:
        listed = each_layers(header, "attention.head_count", count)
    return [0] * count if listed is None else listed


def _windowed(header: Header, count: int) -> tuple[list[bool], bool]:
    name = header.architecture
    if isinstance(header.metadata.get(f"{name}.attention.sliding_window"), ArrayField):
        return [False] * count, False  # at most so much
    if not number(header, "attention.sliding_window") or name in _NO_WINDOW:
        return [False] * count, True
    key = f"{name}.attention.sliding_window_pattern"
    if isinstance(header.metadata.get(key), ArrayField):
        pattern: list[bool] = header.numbers(key, first=count).astype(bool).tolist()
        return pattern + [False] * (count - len(pattern)), True
    period = number(header, "attention.sliding_window_pattern") or _PERIODS.get(name)
    if not period:
        return [False] * count, False
    return [i % period < period - 1 for i in range(count)], True


def _recurs(name: str, layer: int, heads: int) -> bool:
    if name in _ALL_RECURRENT or name in _BOTH:
        return True
    return layer % 4 != 3 if name in _EVERY_FOURTH_ATTENDS else heads == 0


def _state(header: Header) -> int:
    """Bytes a sequence in a recurrent layer; llama.cpp keeps them in 32 bits. 0: this model has no such layers."""
    width = number(header, "embedding_length")
    if head := number(header, "wkv.head_size"):
        return 4 * (number(header, "token_shift_count") or 2) * width + 4 * width * head
    if cache := number(header, "shortconv.l_cache"):
        return 4 * width * (cache - 1)
    kernel, inner, state = (number(header, f"ssm.{key}") for key in ("conv_kernel", "inner_size", "state_size"))
    convolved = max(0, kernel - 1) * (inner + 2 * number(header, "ssm.group_count") * state)
    return 4 * (convolved + state * inner)


def _unknown_hybrid(header: Header) -> bool:
    name = header.architecture
    listed = isinstance(header.metadata.get(f"{name}.attention.head_count_kv"), ArrayField)
    return not listed and name not in (*_ALL_RECURRENT, *_BOTH, *_EVERY_FOURTH_ATTENDS)
