"""Reads a file's front part piece by piece; every length is checked before anything is read or allocated.

No mapping into memory: a mapped file that shrinks, or a network disk that fails, would kill the process.
"""

import struct
from pathlib import Path
from typing import Final, Protocol

from ggufrun.errors import ModelFileError

MAX_HEADER: Final = 128 << 20  # bytes; the largest vocabularies in use take about 20 MB
MAX_STRING: Final = 16 << 20  # bytes; chat templates take tens of kB
MAX_STRINGS: Final = 4_000_000  # in all arrays of one header; a vocabulary of 262k and its merges are under a million

AGAIN: Final = "Download it again."

_WINDOW: Final = 1 << 18
_LENGTH: Final = struct.Struct("<Q")


class Readable(Protocol):
    """What is read of a file, or of a stream that fetches its bytes as they are read."""

    def seek(self, at: int, /) -> int: ...

    def read(self, count: int, /) -> bytes: ...


class Cursor:
    """A position in a file of `size` bytes. Every method raises ModelFileError rather than read past a limit."""

    def __init__(self, path: Path, file: Readable, size: int, start: int = 0) -> None:
        self._path, self._file, self._size = path, file, size
        self._window, self._window_start = b"", 0
        self._strings_left = MAX_STRINGS
        self.position = start

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        if count > MAX_STRING:
            raise self.damaged(f"{what} claims {count:,} bytes")
        self._check(self.position + count, what)
        self._fill(count, what)
        at = self.position - self._window_start
        self.position += count
        return self._window[at : at + count]

    def unsigned(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "little")

    def string(self, what: str) -> bytes:
        return self.take(self.unsigned(8, what), what)

    def skip(self, count: int, what: str) -> None:
        self._check(self.position + count, what)
        self.position += count

    def skip_strings(self, count: int, what: str) -> None:
        """Step over `count` strings without making any: about 0.1 µs each."""
        if count > self._strings_left:
            raise self.damaged(f"{what} claims {count:,} strings")
        self._strings_left -= count
        read_length = _LENGTH.unpack_from
        while count:
            self._check(self.position + _LENGTH.size, what)
            self._fill(_LENGTH.size, what)
            window, at = self._window, self.position - self._window_start
            last = len(window) - _LENGTH.size
            while count and at <= last:
                at += _LENGTH.size + read_length(window, at)[0]
                count -= 1
            self.skip(self._window_start + at - self.position, what)

    def strings(self, count: int, what: str) -> list[bytes]:
        """The next `count` strings, about 0.2 µs each. Whoever asks has looked whether that many can be meant."""
        read_length, found = _LENGTH.unpack_from, list[bytes]()
        while len(found) < count:
            self._check(self.position + _LENGTH.size, what)
            self._fill(_LENGTH.size, what)
            window, start = self._window, self.position - self._window_start
            at, size, add = start, len(window), found.append
            for _ in range(count - len(found)):
                if (text := at + 8) > size or (end := text + read_length(window, at)[0]) > size:
                    break
                add(window[text:end])
                at = end
            if at > start:
                self.skip(at - start, what)
            else:  # one that goes on behind the window
                found.append(self.string(what))
        return found

    def damaged(self, reason: str) -> ModelFileError:
        return ModelFileError(self._path, f"the GGUF header is damaged: {reason}", AGAIN)

    def _check(self, end: int, what: str) -> None:
        if end > self._size + MAX_STRING:
            raise self.damaged(f"{what} would end {end - self._size:,} bytes past the end of the file")
        if end > self._size:
            raise ModelFileError(
                self._path, f"truncated: {what} goes on past the file's last byte, {self._size:,}", AGAIN
            )
        if end > MAX_HEADER:
            raise self.damaged(f"{what} ends at byte {end:,}, and no header is over {MAX_HEADER:,}")

    def _fill(self, count: int, what: str) -> None:
        """Make the window hold the next `count` bytes."""
        if self._window_start <= self.position <= self._window_start + len(self._window) - count:
            return
        self._file.seek(self.position)
        self._window, self._window_start = self._file.read(max(count, _WINDOW)), self.position
        if len(self._window) < count:
            raise ModelFileError(self._path, f"truncated: it became shorter while {what} was read", AGAIN)
