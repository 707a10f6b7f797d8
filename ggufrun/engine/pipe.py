"""Messages over a pair of pipes: length-prefixed pickles, one list of messages a frame.

Both ends are ours, so pickle is safe. Which messages there are is in `messages`; here they are frozen dataclasses.
"""

import copyreg
import pickle
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from io import FileIO
from operator import attrgetter
from typing import Any, BinaryIO, Protocol

from ggufrun.errors import EngineError

# Bytes of one frame. A prompt of 256K token ids takes 1.3 MB, and a few images will take some tens; states of sequences
# are not sent at all. A longer frame is a length that was never written as one, and no reason to take the memory.
MAX_FRAME = 256 << 20
_LENGTH = struct.Struct("<I")


class PipeClosed(Exception):
    """The other end is gone; a frame cut in half counts as gone too."""


class FrameTooLarge(EngineError):
    """A frame over MAX_FRAME. When writing, nothing has been written; when reading, the stream cannot go on."""

    def __init__(self, length: int, hint: str) -> None:
        super().__init__(f"A message of {length:,} bytes is over the limit of {MAX_FRAME:,}.", hint)


class _Readable(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...


def register(types: Iterable[type[Any]]) -> None:
    """Pickle these dataclasses as constructor calls: a quarter of the time that frozen slotted ones take by default."""
    for cls in types:
        copyreg.pickle(cls, _reducer(cls))


def _reducer(cls: type[Any]) -> Callable[[Any], tuple[type[Any], tuple[Any, ...]]]:
    names = [field.name for field in fields(cls)]
    if not names:
        return lambda _: (cls, ())
    values = attrgetter(*names)
    if len(names) == 1:
        return lambda value: (cls, (values(value),))
    return lambda value: (cls, values(value))


class PipeWriter:
    """One frame is one write. Not for several threads at once."""

    def __init__(self, file: FileIO | BinaryIO) -> None:
        self._file = file

    def write(self, messages: Sequence[object]) -> None:
        """Send a list of messages; waits while the pipe is full. Raises PipeClosed, FrameTooLarge."""
        body = pickle.dumps(list(messages), protocol=5)
        if len(body) > MAX_FRAME:
            raise FrameTooLarge(len(body), "Send a shorter prompt, or fewer and smaller images.")
        left = memoryview(_LENGTH.pack(len(body)) + body)
        try:
            while left:
                left = left[self._file.write(left) or 0 :]
            self._file.flush()
        except (OSError, ValueError) as error:  # ValueError: the file was closed on our side
            raise PipeClosed from error


class PipeReader:
    def __init__(self, file: _Readable) -> None:
        self._file = file

    def read(self) -> list[Any]:
        """The next list of messages; waits for it. Raises PipeClosed at the end of the stream, FrameTooLarge."""
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if length > MAX_FRAME:
            raise FrameTooLarge(length, "What came is not the engine's own: something else wrote to its pipe.")
        messages: list[Any] = pickle.loads(self._exactly(length))
        return messages

    def _exactly(self, count: int) -> bytearray:
        data = bytearray(count)
        left = memoryview(data)
        while left:
            try:
                got = self._file.readinto(left)
            except (OSError, ValueError) as error:
                raise PipeClosed from error
            if not got:
                raise PipeClosed
            left = left[got:]
        return data
