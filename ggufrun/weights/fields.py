"""What a GGUF header is made of: value types, arrays and tensor descriptions. Frozen values; `header` reads them."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ggufrun.weights.ggml_types import TENSOR_TYPES

Scalar = bool | int | float | str


class ValueType(IntEnum):
    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


NUMBERS: Final[Mapping[ValueType, struct.Struct]] = {
    ValueType.UINT8: struct.Struct("<B"),
    ValueType.INT8: struct.Struct("<b"),
    ValueType.UINT16: struct.Struct("<H"),
    ValueType.INT16: struct.Struct("<h"),
    ValueType.UINT32: struct.Struct("<I"),
    ValueType.INT32: struct.Struct("<i"),
    ValueType.FLOAT32: struct.Struct("<f"),
    ValueType.BOOL: struct.Struct("<?"),
    ValueType.UINT64: struct.Struct("<Q"),
    ValueType.INT64: struct.Struct("<q"),
    ValueType.FLOAT64: struct.Struct("<d"),
}


@dataclass(frozen=True, slots=True)
class ArrayField:
    """An array that was stepped over: its elements lie in bytes `start` to `end` of the file."""

    type: ValueType
    length: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """`shape` is ggml's order, fastest dimension first; `offset` counts bytes from the header's `data_offset`."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int | None:
        """Bytes, without padding; None for a type that ggml_types does not know."""
        known = TENSOR_TYPES.get(self.type)
        return None if known is None else self.elements // known.block * known.size

    @property
    def type_name(self) -> str:
        known = TENSOR_TYPES.get(self.type)
        return f"type {self.type}" if known is None else known.name
