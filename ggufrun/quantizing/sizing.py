"""How many bytes the file of a quant has, to the byte, before it is written"""

from collections.abc import Mapping, Sequence
from typing import Final

from ggufrun.weights.fields import ArrayField, Scalar, TensorInfo
from ggufrun.weights.ggml_types import TENSOR_TYPES
from ggufrun.weights.header import Header

ALIGNMENT: Final = 32
_START: Final = 24  # magic, version, number of tensors, number of keys
_SET: Final = ("general.quantization_version", "general.file_type")  # by the quantizer, as 32-bit numbers
_DROPPED: Final = {"split.no": 2, "split.count": 2, "split.tensors.count": 4}  # bytes; one file is written
_BY_NAME: Final = {known.name: known for known in TENSOR_TYPES.values()}


def weights_size(headers: Sequence[Header], types: Mapping[str, str]) -> int:
    """Bytes of all tensors without padding; `types` by the tensors' names."""
    return sum(_size(tensor, types[tensor.name]) for header in headers for tensor in header.tensors)


def file_size(headers: Sequence[Header], types: Mapping[str, str], told: Mapping[str, str | int]) -> int:
    """`told`: keys that are set beside those of the file."""
    tensors = [tensor for header in headers for tensor in header.tensors]
    head = _START + _metadata_size(headers[0], told) + sum(map(_described, tensors))
    return _padded(head) + sum(_padded(_size(tensor, types[tensor.name])) for tensor in tensors)


def _metadata_size(header: Header, told: Mapping[str, str | int]) -> int:
    size = header.metadata_end - _START
    for key, width in _DROPPED.items():
        size -= _key_size(key, width) if key in header.metadata else 0
    for key, value in {**dict.fromkeys(_SET, 0), **told}.items():
        old = header.metadata.get(key)
        size += _key_size(key, _width(value)) - (_key_size(key, _width(old)) if old is not None else 0)
    return size


def _key_size(key: str, width: int) -> int:
    return 8 + len(key.encode()) + 4 + width


def _width(value: Scalar | ArrayField) -> int:
    return 8 + len(value.encode()) if isinstance(value, str) else 4


def _described(tensor: TensorInfo) -> int:
    """A tensor's line in the header. Dimensions of 1 at the end are not written."""
    dimensions = max((place for place, length in enumerate(tensor.shape, 1) if length != 1), default=1)
    return 8 + len(tensor.name.encode()) + 4 + 8 * dimensions + 4 + 8


def _size(tensor: TensorInfo, name: str) -> int:
    known = _BY_NAME[name]
    return tensor.elements // known.block * known.size


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
