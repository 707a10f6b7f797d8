"""The header of a GGUF file (v2 and v3, little endian): metadata and where the tensors lie, never their data.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A damaged or malicious file ends in ModelFileError,
in bounded time and memory. Whether llama.cpp supports the architecture is llama.cpp's to say.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from ggufrun.errors import ModelFileError
from ggufrun.weights.cursor import AGAIN, Cursor, Readable
from ggufrun.weights.fields import NUMBERS, ArrayField, Scalar, TensorInfo, ValueType
from ggufrun.weights.foreign import PEEK, looks_like
from ggufrun.weights.ggml_types import TENSOR_TYPES
from ggufrun.weights.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy.typing as npt

_MAX_KEYS: Final = 65_536
_MAX_TENSORS: Final = 65_536
_MAX_NAME: Final = 63  # under ggml's GGML_MAX_NAME
_MAX_KEY: Final = 65_535
_MAX_DIMENSIONS: Final = 4
_MAX_CONTEXT: Final = (1 << 31) - 1
_MAX_FILE: Final = 1 << 46  # bytes that tensors may claim; 64 TiB


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says about itself. Arrays are read from the file when asked for."""

    path: Path
    version: int
    metadata: Mapping[str, Scalar | ArrayField]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_size: int
    metadata_end: int = 0  # the byte behind the last key's value, where the tensors' descriptions begin

    @property
    def architecture(self) -> str:
        """`general.architecture`, "" where the file has none (later shards of a split set)."""
        return self.text("general.architecture") or ""

    @property
    def parameters(self) -> int:
        """Elements of all tensors in this file."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def split_count(self) -> int:
        """Files in this file's split set; 1 for a file of its own."""
        return self.integer("split.count") or 1

    @property
    def split_no(self) -> int:
        """This file's place in its split set, from 0."""
        return self.integer("split.no") or 0

    @property
    def context_train(self) -> int | None:
        """Tokens of context that the model was made for; None where it says nothing that can be."""
        context = self.integer(f"{self.architecture}.context_length")
        return context if context and 0 < context <= _MAX_CONTEXT else None

    def text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str) -> int | None:
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def length(self, key: str) -> int | None:
        """Elements of the array under this key, None without one."""
        value = self.metadata.get(key)
        return value.length if isinstance(value, ArrayField) else None

    def strings(self, key: str) -> list[str]:
        """A string array; bytes that are not UTF-8 become U+FFFD. ModelFileError if there is none under this key."""
        return [raw.decode("utf-8", "replace") for raw in self.raw_strings(key)]

    def raw_strings(self, key: str) -> list[bytes]:
        field = self._array(key)
        if field.type is not ValueType.STRING:
            raise ModelFileError(self.path, f"{key} is not a list of strings")
        data, at, found = self._read(field), 0, []
        for _ in range(field.length):
            start = at + 8
            at = start + int.from_bytes(data[at:start], "little")
            found.append(data[start:at])
        if at != len(data):
            raise ModelFileError(self.path, "the file changed while it was read", "Load the model again.")
        return found

    def numbers(self, key: str, first: int | None = None) -> "npt.NDArray[Any]":
        """A numeric or boolean array, in its own type, or its `first` so many. ModelFileError if there is none."""
        import numpy as np  # here: `ggufrun list` reads no arrays, and numpy takes a tenth of a second

        field = self._array(key)
        if field.type is ValueType.STRING:
            raise ModelFileError(self.path, f"{key} is not a list of numbers")
        number = NUMBERS[field.type]
        if first is not None and first < field.length:
            field = replace(field, length=first, end=field.start + first * number.size)
        return np.frombuffer(self._read(field), dtype=np.dtype(number.format))

    def _array(self, key: str) -> ArrayField:
        field = self.metadata.get(key)
        if not isinstance(field, ArrayField):
            raise ModelFileError(self.path, f"it has no {key}", "Choose another file of this model.")
        return field

    def _read(self, field: ArrayField) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(field.start)
                data = file.read(field.end - field.start)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if len(data) < field.end - field.start:
            raise ModelFileError(self.path, "truncated: it became shorter since it was opened", AGAIN)
        return data


def read_header(path: Path) -> Header:
    """Read and check a GGUF's header. ModelFileError says what is wrong with the file; nothing else is raised."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ModelFileError(path, "this is a directory", "Give the path of a .gguf file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(path, "this is not a regular file", "Give the path of a .gguf file.")
        with path.open("rb") as file:
            return parse_header(path, file, status.st_size)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise _unreadable(path, error) from error


def parse_header(path: Path, file: Readable, size: int) -> Header:
    """`read_header` for a stream of `size` bytes, fetched perhaps as they are read. `path`: where they will lie."""
    _check_magic(path, file.read(PEEK))
    header = _parse(path, Cursor(path, file, size, start=4), size)
    _check_data(header)
    return header


def _unreadable(path: Path, error: OSError | ValueError) -> ModelFileError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ModelFileError(path, "there is no such file", "Check the path.")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ModelFileError(path, f"it cannot be read ({reason})", "Check the path and its permissions.")


def _check_magic(path: Path, start: bytes) -> None:
    if not start:
        raise ModelFileError(path, "the file is empty", AGAIN)
    if not start.startswith(b"GGUF"):
        guess = looks_like(start)
        reason = "not a GGUF file" + (f" (it looks like {guess})" if guess else "")
        raise ModelFileError(path, reason, "Give the path of a .gguf file.")
    if len(start) < 24:
        raise ModelFileError(path, f"truncated: it has {len(start)} bytes, and a GGUF header at least 24", AGAIN)
    version = int.from_bytes(start[4:8], "little")
    if version & 0xFFFF == 0 and version:
        raise ModelFileError(path, "it was made for big-endian machines", "Choose a little-endian file.")
    if version == 1:
        raise ModelFileError(path, "GGUF version 1, which llama.cpp gave up in 2023", "Choose a newer file.")
    if version not in (2, 3):
        raise ModelFileError(path, f"GGUF version {version} is not known here", "Update ggufrun, or check the file.")


def _parse(path: Path, cursor: Cursor, file_size: int) -> Header:
    version = cursor.unsigned(4, "the version")
    tensor_count = cursor.unsigned(8, "the number of tensors")
    key_count = cursor.unsigned(8, "the number of keys")
    if tensor_count > _MAX_TENSORS or key_count > _MAX_KEYS:
        raise cursor.damaged(f"it claims {tensor_count:,} tensors and {key_count:,} keys")
    metadata: dict[str, Scalar | ArrayField] = {}
    vocabulary = Vocabulary(cursor)
    for _ in range(key_count):
        key = _name(cursor, "a metadata key", _MAX_KEY)
        if key in metadata:
            raise cursor.damaged(f"the key {key[:80]!r} is there twice")
        metadata[key] = _value(cursor, key, vocabulary)
    vocabulary.check(metadata)
    metadata_end = cursor.position
    tensors = tuple(_tensor(cursor) for _ in range(tensor_count))
    if len({tensor.name for tensor in tensors}) < tensor_count:
        raise cursor.damaged("two tensors have the same name")
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise cursor.damaged(f"an alignment of {alignment!r} is not a power of two")
    if any(tensor.offset % alignment for tensor in tensors):
        raise cursor.damaged("a tensor's offset is not aligned")
    data_offset = -(-cursor.position // alignment) * alignment
    return Header(path, version, MappingProxyType(metadata), tensors, data_offset, file_size, metadata_end)


def _name(cursor: Cursor, what: str, longest: int) -> str:
    length = cursor.unsigned(8, what)
    if not 0 < length <= longest:
        raise cursor.damaged(f"{what} has {length:,} bytes")
    try:
        return cursor.take(length, what).decode("utf-8")
    except UnicodeDecodeError:
        raise cursor.damaged(f"{what} is not UTF-8") from None


def _value(cursor: Cursor, key: str, vocabulary: Vocabulary) -> Scalar | ArrayField:
    what = repr(key[:80])
    kind = _value_type(cursor, what)
    if kind is ValueType.STRING:
        return cursor.string(what).decode("utf-8", "replace")
    if kind is not ValueType.ARRAY:
        number = NUMBERS[kind]
        return cast(Scalar, number.unpack(cursor.take(number.size, what))[0])
    kind, length = _value_type(cursor, what), cursor.unsigned(8, what)
    if kind is ValueType.ARRAY:
        raise cursor.damaged(f"{what} is a list of lists")
    start = cursor.position
    if vocabulary.array(key, kind, length, what):
        pass
    elif kind is ValueType.STRING:
        cursor.skip_strings(length, what)
    else:
        cursor.skip(length * NUMBERS[kind].size, what)
    return ArrayField(kind, length, start, cursor.position)


def _value_type(cursor: Cursor, what: str) -> ValueType:
    number = cursor.unsigned(4, what)
    if number > max(ValueType):
        raise cursor.damaged(f"{what} has the unknown type {number}")
    return ValueType(number)


def _tensor(cursor: Cursor) -> TensorInfo:
    name = _name(cursor, "a tensor's name", _MAX_NAME)
    what = f"the tensor {name!r}"
    dimensions = cursor.unsigned(4, what)
    if dimensions > _MAX_DIMENSIONS:
        raise cursor.damaged(f"{what} has {dimensions:,} dimensions")
    shape = tuple(cursor.unsigned(8, what) for _ in range(dimensions))
    tensor = TensorInfo(name, shape, cursor.unsigned(4, what), cursor.unsigned(8, what))
    if tensor.elements > _MAX_FILE or max(shape, default=0) > _MAX_FILE:
        raise cursor.damaged(f"{what} claims {tensor.elements:,} elements")
    known = TENSOR_TYPES.get(tensor.type)
    if known is not None and shape and shape[0] % known.block:
        raise cursor.damaged(f"{what} has rows of {shape[0]} elements, which {known.name} cannot hold")
    return tensor


def _check_data(header: Header) -> None:
    """The tensors' data must lie inside the file: it does not when a download was cut off."""
    if not header.tensors:
        return
    needed = header.data_offset + max(tensor.offset + (tensor.size or 0) for tensor in header.tensors)
    if needed > _MAX_FILE:
        raise ModelFileError(header.path, f"the GGUF header is damaged: its tensors end at byte {needed:,}", AGAIN)
    if needed > header.file_size:
        reason = f"truncated: it has {header.file_size:,} of {needed:,} bytes, so its download was cut off"
        raise ModelFileError(header.path, reason, AGAIN)
