"""Checksums of files: what was recorded for one, by the name that its store gave its bytes, and what it has now.

The hub is not asked: for a file outside of its cache and Ollama's store nobody here knows a checksum.
"""

import hashlib
import re
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Final, TypeGuard

from ggufrun.hub_errors import WrongBytes
from ggufrun.store.hub_cache import cached_file

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OLLAMA: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")

OnBytes = Callable[[int], None]  # is told how many bytes of the file were read


def is_sha256(text: object) -> TypeGuard[str]:
    """Whether it is one as the hub writes them; what git calls a small file (sha1) is none."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def ollama_sha256(text: str) -> str | None:
    """Of a manifest's digest, `sha256:…`, or a blob's name, `sha256-…`."""
    match = _OLLAMA.fullmatch(text)
    return match[1] if match else None


def recorded_sha256(path: Path) -> str | None:
    """None where the file lies in no store that records them, or is one of the hub's small files."""
    if sha256 := ollama_sha256(path.name):
        return sha256
    cached = cached_file(path)
    return cached.etag if cached is not None and is_sha256(cached.etag) else None


def sha256_of(path: Path, on_bytes: OnBytes = lambda count: None) -> str:
    """Reads the file whole."""
    with _Counted(path, on_bytes) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_sha1_of(path: Path, on_bytes: OnBytes = lambda count: None) -> str:
    """What git calls a file: sha1 over a head and the bytes. Reads it whole."""
    head = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with _Counted(path, on_bytes) as file:
        return hashlib.file_digest(file, lambda: head).hexdigest()


def check(path: Path, etag: str, name: str, on_bytes: OnBytes = lambda count: None) -> None:
    """`etag`: the sha256 of an LFS file, what git calls a small one. Raises WrongBytes, in which the file is `name`."""
    found = sha256_of(path, on_bytes) if is_sha256(etag) else git_sha1_of(path, on_bytes)
    if found != etag:
        raise WrongBytes(name, etag, found)


class _Counted(FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, on_bytes: OnBytes) -> None:
        super().__init__(path)
        self._on_bytes, self._count = on_bytes, 0

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # of its Buffer, hashlib gives these
        count = super().readinto(buffer) or 0
        self._count += count
        self._on_bytes(self._count)
        return count
