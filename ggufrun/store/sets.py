"""GGUF files in a folder, put together to what is loaded as one: single files, and split sets by their names."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from ggufrun.store.looking import file_status
from ggufrun.store.stored import StoredFile
from ggufrun.weights.folders import is_projector, shard_of
from ggufrun.weights.naming import label_in

_Path = TypeVar("_Path", bound=PurePath)


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files that belong together, in their order. `total`: how many there should be; `quant`: "" where no name says."""

    stem: str
    files: tuple[StoredFile, ...]
    total: int
    quant: str

    @property
    def whole(self) -> bool:
        return len(self.files) == self.total


def is_gguf(path: PurePath) -> bool:
    return path.suffix.lower() == ".gguf" and not path.name.startswith(".")


def ggufs_among(paths: Iterable[Path]) -> Iterator[StoredFile]:
    """Those that can be looked at, by name."""
    for path in sorted(paths):
        if is_gguf(path) and (status := file_status(path)):
            yield StoredFile(path, status.st_size)


def place_of(path: _Path) -> tuple[tuple[_Path, str, int], int]:
    """The set that a file belongs to, as folder, stem and number of files, and which of them it is."""
    shard = shard_of(path)
    stem, total, number = (shard.stem, shard.total, shard.number) if shard else (path.stem, 1, 1)
    return (path.parent, stem, total), number


def put_together(files: Iterable[StoredFile]) -> tuple[list[FileSet], list[StoredFile]]:
    """Sets of model files, by folder and stem, and the projectors among the files."""
    sets: dict[tuple[Path, str, int], dict[int, StoredFile]] = defaultdict(dict)
    projectors = []
    for file in files:
        if is_projector(file.path.name):
            projectors.append(file)
            continue
        place, number = place_of(file.path)
        if 1 <= number <= place[2]:
            sets[place][number] = file
    found = []
    for (_, stem, total), numbered in sorted(sets.items()):
        together = tuple(numbered[number] for number in sorted(numbered))
        found.append(FileSet(stem, together, total, label_in(together[0].path)))
    return found, projectors
