"""Arrays in a file, as .npz: written whole or not at all, and refused where it is damaged or another's"""

import json
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from ggufrun.errors import InputError

Array = npt.NDArray[Any]
Types = Mapping[str, npt.DTypeLike]

_ABANDONED_S: Final = 6 * 3600.0  # one that is being written grows with each chunk, others are written at once

DAMAGED: Final = (  # what reading such a file may raise
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    OSError,
    LookupError,
    EOFError,
    TypeError,
)


class DamagedFile(InputError):
    """A file of a comparison that is not what its name says: cut off, or another program's."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is damaged, or no file of a comparison.", "Remove it, and it is measured anew.")
        self.path = path


def save(path: Path, arrays: Mapping[str, Array]) -> None:
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_whole(path, lambda file: file.write(json.dumps(values).encode()))


def load(path: Path, types: Types) -> dict[str, Array]:
    """The arrays of these names and types. Raises DamagedFile."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name].astype(type, casting="same_kind", copy=False) for name, type in types.items()}
    except DAMAGED as error:
        raise DamagedFile(path) from error


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """The file appears when all of it is there, in the place of an older one."""
    unfinished = begun(path)
    try:
        with unfinished.open("wb") as file:
            write(file)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def begun(path: Path) -> Path:
    """Where a file is until all of it is there. What was left there by processes that were killed is removed."""
    for left in path.parent.glob(f".*{path.suffix}.*"):
        with suppress(OSError):  # another process removed it, or it is no file
            if left.suffix[1:].isdigit() and left.stat().st_mtime < time.time() - _ABANDONED_S:
                left.unlink()
    return path.with_name(f".{path.name}.{os.getpid()}")
