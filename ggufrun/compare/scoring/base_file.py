"""The file of what is kept of the reference, chunk by chunk: written and read while a text is scored.

It is an .npz with a few arrays for each chunk, so that of a long text only one chunk is in memory.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from ggufrun.compare.scoring.archive import DAMAGED, DamagedFile, begun
from ggufrun.compare.scoring.base import Kept, LogP
from ggufrun.compare.scoring.distribution import Ids

_NONE: Final = Kept(np.empty(0, np.uint32), np.full(1, np.nan, np.float32), float("nan"), -1)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Its positions. One that was not finite has no tokens, and its nll is nan."""

    starts: npt.NDArray[np.int64]  # [positions + 1], of their tokens
    ids: Ids
    log_p: LogP
    tail: LogP  # [positions]: the lump's
    nll: npt.NDArray[np.float64]
    top: npt.NDArray[np.int32]

    @classmethod
    def of(cls, positions: Sequence[Kept | None]) -> Self:
        kept = [each or _NONE for each in positions]
        return cls(
            starts=np.cumsum([0, *(len(each.ids) for each in kept)], dtype=np.int64),
            ids=np.concatenate([_NONE.ids, *(each.ids for each in kept)]),
            log_p=np.concatenate([_NONE.log_p[:0], *(each.log_p[:-1] for each in kept)]),
            tail=np.array([each.log_p[-1] for each in kept], np.float32),
            nll=np.array([each.nll for each in kept], np.float64),
            top=np.array([each.top for each in kept], np.int32),
        )

    def __len__(self) -> int:
        return len(self.nll)

    def at(self, position: int) -> Kept | None:
        """None where the reference was not finite."""
        first, end = self.starts[position], self.starts[position + 1]
        if first == end:
            return None
        log_p = np.append(self.log_p[first:end], self.tail[position])
        return Kept(self.ids[first:end], log_p, float(self.nll[position]), int(self.top[position]))


class BaseWriter:
    """Chunks one after the other. The file appears at the end of the block, if it ends without an error."""

    def __init__(self, path: Path, text: str, vocabulary: int) -> None:
        """`text`: `files.Text.digest` of what is scored."""
        self._path, self._unfinished = path, begun(path)
        self._zip = ZipFile(self._unfinished, "w")
        self._chunks = 0
        self._add("text", np.array(text))
        self._add("vocabulary", np.array(vocabulary, np.int64))

    def add(self, positions: Sequence[Kept | None]) -> None:
        chunk = Chunk.of(positions)
        for name in Chunk.__slots__:
            self._add(f"{self._chunks}/{name}", getattr(chunk, name))
        self._chunks += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._zip.close()
        if error is None:
            os.replace(self._unfinished, self._path)
        self._unfinished.unlink(missing_ok=True)

    def _add(self, name: str, array: npt.NDArray[Any]) -> None:
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)  # type: ignore[no-untyped-call]  # NumPy


class BaseReader:
    """Raises DamagedFile, when it is opened or when a chunk is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = np.load(path, allow_pickle=False)
            self.text, self.vocabulary = str(self._file["text"]), int(self._file["vocabulary"])
        except DAMAGED as error:
            raise DamagedFile(path) from error

    def chunk(self, index: int) -> Chunk:
        try:
            chunk = Chunk(**{name: self._file[f"{index}/{name}"] for name in Chunk.__slots__})
        except DAMAGED as error:
            raise DamagedFile(self._path) from error
        lengths = {len(chunk.starts) - 1, len(chunk.tail), len(chunk.nll), len(chunk.top)}
        if len(lengths) > 1 or not chunk.starts[-1] == len(chunk.ids) == len(chunk.log_p):
            raise DamagedFile(self._path)
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
