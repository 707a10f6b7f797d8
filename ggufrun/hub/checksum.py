"""Whether a file's bytes are those that the hub means: its etag is their checksum."""

import hashlib
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from ggufrun.errors import WrongBytes


def check(path: Path, etag: str, name: str, on_bytes: Callable[[int], None] = lambda count: None) -> None:
    """Read the file whole; `on_bytes` is told how much of it was read. Raises WrongBytes.

    The etag of an LFS file is its sha256, and that of a small one what git calls it: sha1 over a head and the bytes.
    """
    with _Counted(path, on_bytes) as file:
        if len(etag) == 64:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            head = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
            found = hashlib.file_digest(file, lambda: head).hexdigest()
    if found != etag:
        raise WrongBytes(name, etag, found)


class _Counted(FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_bytes, self._count = on_bytes, 0

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = super().readinto(buffer) or 0
        self._count += count
        self._on_bytes(self._count)
        return count
