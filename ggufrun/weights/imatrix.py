"""Importance matrices as llama-imatrix writes them, GGUF or the older .dat. Whether one fits is not here

A value says how much the activations of one input column weigh: their mean square over a text. Quantizers spend their
precision by it. Nothing is trusted: every length is checked before it is used.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from ggufrun.errors import ModelFileError
from ggufrun.weights.fields import TensorInfo, ValueType
from ggufrun.weights.header import Header, read_header

Values = npt.NDArray[np.float32]

_SQUARES, _COUNTS = ".in_sum2", ".counts"
_F32: Final = 0
_MOST_ENTRIES: Final = 65_536
_LONGEST_NAME: Final = 512
_HINT: Final = "Give a file that llama-imatrix wrote (.gguf, or the older .dat)."


@dataclass(frozen=True, slots=True)
class Imatrix:
    """`entries`: by the tensor's name one value a column; of expert tensors such a row for each expert."""

    path: Path
    entries: Mapping[str, Values]
    chunks: int  # of the text that it was computed over; 0: not said
    datasets: tuple[str, ...]


def read_imatrix(path: Path) -> Imatrix:
    """ModelFileError says what is wrong with the file; nothing else is raised."""
    try:
        with path.open("rb") as file:
            found = _from_gguf(path, file) if file.read(4) == b"GGUF" else _from_dat(path, file)
    except OSError as error:
        reason = (
            "there is no such file"
            if isinstance(error, FileNotFoundError)
            else f"it cannot be read ({error.strerror or error})"
        )
        raise ModelFileError(path, reason, _HINT) from error
    for name, values in found.entries.items():
        if not np.isfinite(values).all() or (values < 0).any():
            raise _damaged(path, f"values of {name} are not finite, or negative")
    return found


def _from_gguf(path: Path, file: BinaryIO) -> Imatrix:
    header = read_header(path)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = [name.removesuffix(_SQUARES) for name in tensors if name.endswith(_SQUARES)]
    if not names:
        kind = header.text("general.type") or "model"
        raise ModelFileError(path, f"this is a GGUF of the type {kind!r}, not an importance matrix", _HINT)
    entries = {}
    for name in names:
        counts = tensors.get(name + _COUNTS)
        if counts is None:
            raise _damaged(path, f"it has sums of {name} and no counts")
        entries[name] = _means(
            path, name, _floats(header, tensors[name + _SQUARES], file), _floats(header, counts, file)
        )
    datasets = header.metadata.get("imatrix.datasets")
    named = header.strings("imatrix.datasets") if getattr(datasets, "type", None) is ValueType.STRING else []
    return Imatrix(path, entries, header.integer("imatrix.chunk_count") or 0, tuple(named))


def _floats(header: Header, tensor: TensorInfo, file: BinaryIO) -> Values:
    if tensor.type != _F32:
        raise _damaged(header.path, f"{tensor.name} is {tensor.type_name}, and F32 was meant")
    file.seek(header.data_offset + tensor.offset)
    return np.frombuffer(file.read(tensor.size or 0), "<f4").copy()


def _means(path: Path, name: str, sums: Values, counts: Values) -> Values:
    """Each expert has seen so many tokens of its own. One that has seen none weighs all columns alike."""
    if not counts.size or not sums.size or sums.size % counts.size:
        raise _damaged(path, f"{name} has {sums.size} sums and {counts.size} counts")
    seen = np.rint(counts)[:, None]
    rows = sums.reshape(counts.size, -1)
    means: Values = np.divide(rows, seen, out=np.ones_like(rows), where=seen > 0)
    return means.astype(np.float32).reshape(-1)


def _from_dat(path: Path, file: BinaryIO) -> Imatrix:
    """The format before 2025: sums that are multiplied already by the number of calls."""
    file.seek(0)
    count = _number(path, file)
    if not 0 < count <= _MOST_ENTRIES:
        raise ModelFileError(path, "this is no importance matrix", _HINT)
    entries: dict[str, Values] = {}
    for _ in range(count):
        name = _text(path, file)
        calls, length = _number(path, file), _number(path, file)
        data = file.read(4 * length) if length > 0 else b""
        if not data or len(data) < 4 * length:
            raise _damaged(path, f"{name} claims {length:,} values")
        entries[name] = (np.frombuffer(data, "<f4") / np.float32(max(calls, 1))).astype(np.float32)
    rest = file.read()
    chunks = struct.unpack_from("<i", rest)[0] if len(rest) >= 4 else 0
    length = struct.unpack_from("<i", rest, 4)[0] if len(rest) >= 8 else 0
    dataset = rest[8 : 8 + length].decode("utf-8", "replace") if 0 < length <= len(rest) - 8 else ""
    return Imatrix(path, entries, max(chunks, 0), (dataset,) if dataset else ())


def _number(path: Path, file: BinaryIO) -> int:
    data = file.read(4)
    if len(data) < 4:
        raise _damaged(path, "it ends too early")
    return int.from_bytes(data, "little", signed=True)


def _text(path: Path, file: BinaryIO) -> str:
    length = _number(path, file)
    data = file.read(length) if 0 < length <= _LONGEST_NAME else b""
    if not data or len(data) < length:
        raise ModelFileError(path, "this is no importance matrix, or it is damaged", _HINT)
    return data.decode("utf-8", "replace")


def _damaged(path: Path, reason: str) -> ModelFileError:
    return ModelFileError(path, f"the importance matrix is damaged: {reason}", _HINT)
