"""The numbers in a header that say how a model is built, each checked: what no model has ends in ModelFileError.

Keys are without the architecture's name, which stands before them in the file. What follows from them is `fit`'s.
"""

from typing import Final

from ggufrun.errors import ModelFileError
from ggufrun.weights.fields import ArrayField
from ggufrun.weights.header import Header

_MOST_LAYERS: Final = 512  # llama.cpp's LLAMA_MAX_LAYERS
_MOST: Final = (1 << 31) - 1
_HINT: Final = "Choose another file."


def layers_of(header: Header) -> int:
    """All that it has. llama.cpp ends the process over a model without any."""
    count = header.integer(f"{header.architecture}.block_count") or 0
    if not 1 <= count <= _MOST_LAYERS:
        raise ModelFileError(header.path, f"it claims {count:,} layers, and models have 1 to {_MOST_LAYERS}", _HINT)
    return count


def loaded_layers(header: Header) -> int:
    """Those that are loaded: the ones behind them only predict ahead."""
    count, ahead = layers_of(header), number(header, "nextn_predict_layers")
    if ahead >= count:
        raise ModelFileError(header.path, f"{ahead:,} of its {count} layers only predict ahead", _HINT)
    return count - ahead


def number(header: Header, key: str) -> int:
    """0 where it has none, or none that is a whole number."""
    value = header.integer(f"{header.architecture}.{key}") or 0
    _check(header, key, value)
    return value


def each_layers(header: Header, key: str, count: int) -> list[int] | None:
    """A number that can be one for all layers or a list of one each, for `count` layers; None where it is neither.

    A list may be of any length in a file made to do harm: no more is read of it than is wanted.
    """
    value = header.metadata.get(f"{header.architecture}.{key}")
    if not isinstance(value, ArrayField):
        return None if header.integer(f"{header.architecture}.{key}") is None else [number(header, key)] * count
    numbers = header.numbers(f"{header.architecture}.{key}", first=count)
    if numbers.dtype.kind not in "ui":
        raise ModelFileError(header.path, f"its {key} are not whole numbers", _HINT)
    listed: list[int] = numbers.tolist()
    for each in listed:
        _check(header, key, each)
    return listed + [0] * (count - len(listed))


def largest(header: Header, key: str) -> int:
    """Of all layers; 0 where it has no such number."""
    return max(each_layers(header, key, layers_of(header)) or [0])


def _check(header: Header, key: str, value: int) -> None:
    if not 0 <= value <= _MOST:
        raise ModelFileError(header.path, f"its {key} is {value:,}, which no model has", _HINT)
