"""One saved prefix as a file: header, token ids, state, and a sha256 over all of it. Read and write; no policy.

    magic 8 s | version u32 | sha256 of the key 32 s | tokens n u32 | state length u64 | n × i32 | state | sha256 32 s

All little-endian. llama.cpp takes a state with flipped bits without a word: nothing is handed out before the sum fits.
"""

import hashlib
import os
import secrets
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

SUFFIX, TEMPORARY = ".prefix", ".prefix-part"
_HEADER = struct.Struct("<8sI32sIQ")
_MAGIC, _VERSION = b"GGUFRUNP", 1
_SUM_BYTES = 32
_PIECE = 16 << 20  # bytes; hashing so many takes some 20 ms
_TOKEN = np.dtype("<i4")


class DamagedFile(Exception):
    """The file is not what was once written."""


class ForeignFile(Exception):
    """A sound file of another model or version."""


class ReadStopped(Exception):
    """Whoever wanted it does so no more."""


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def file_size(tokens: int, state: int) -> int:
    """Bytes on disk of a state of `state` bytes for so many tokens."""
    return _HEADER.size + _TOKEN.itemsize * tokens + state + _SUM_BYTES


def write_file(path: Path, key: bytes, tokens: npt.NDArray[np.int32], state: bytes) -> None:
    """Write under a temporary name, sync, rename: other processes see the whole file or none. Raises OSError."""
    temporary = path.with_name(f"{path.stem}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    parts = _HEADER.pack(_MAGIC, _VERSION, key, len(tokens), len(state)), tokens.astype(_TOKEN).tobytes(), state
    total = hashlib.sha256()
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600), "wb") as file:
            for part in parts:
                total.update(part)
                file.write(part)
            file.write(total.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_tokens(path: Path, key: bytes) -> npt.NDArray[np.int32]:
    """The tokens alone: cheap, and not yet checked against the sum. Raises DamagedFile, ForeignFile, OSError."""
    with path.open("rb") as file:
        _, tokens, _ = _read_head(file, key)
    return np.frombuffer(tokens, dtype=_TOKEN).astype(np.int32, copy=False)


def read_state(path: Path, key: bytes, stopped: Callable[[], bool]) -> tuple[list[int], bytes]:
    """Tokens and state of a file whose sum fits. Raises DamagedFile, ForeignFile, OSError.

    Also ReadStopped, soon after `stopped` is true: nobody wants it any more.
    """
    with path.open("rb") as file:
        header, tokens, length = _read_head(file, key)
        state, stored = file.read(length), file.read(_SUM_BYTES)
    total = hashlib.sha256(header)
    total.update(tokens)
    for start in range(0, len(state), _PIECE):
        if stopped():
            raise ReadStopped
        total.update(memoryview(state)[start : start + _PIECE])
    if total.digest() != stored:
        raise DamagedFile("its checksum does not fit")
    return np.frombuffer(tokens, dtype=_TOKEN).tolist(), state


def _read_head(file: BinaryIO, key: bytes) -> tuple[bytes, bytes, int]:
    """Header, tokens and the state's length; the file ends where the header says."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise DamagedFile("it is cut short")
    magic, version, held_key, count, length = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise DamagedFile("it is not a saved prefix")
    size = os.fstat(file.fileno()).st_size
    if version == _VERSION and size != file_size(count, length):
        raise DamagedFile(f"it has {size} bytes instead of {file_size(count, length)}")
    if version != _VERSION or held_key != key:
        raise ForeignFile("it belongs to another model or another version of ggufrun")
    return header, file.read(_TOKEN.itemsize * count), length


_BINARY = getattr(os, "O_BINARY", 0)  # Windows
