"""GGUF files in a folder, put together to what is loaded as one: single files, and split sets by their names."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ggufrun.store.stored import StoredFile
from ggufrun.weights.folders import is_projector, shard_of
from ggufrun.weights.quants import label_of


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files that belong together, in their order. `total` is how many there should be."""

    stem: str
    files: tuple[StoredFile, ...]
    total: int

    @property
    def whole(self) -> bool:
        return len(self.files) == self.total

    @property
    def quant(self) -> str:
        """By the file's name, or by its folder's, as repositories with a folder a quant have it."""
        path = self.files[0].path
        return label_of(path) or label_of(Path(path.parent.name + ".gguf"))


def is_gguf(path: Path) -> bool:
    return path.suffix.lower() == ".gguf" and not path.name.startswith(".")


def put_together(files: Iterable[StoredFile]) -> tuple[list[FileSet], list[StoredFile]]:
    """Sets of model files, by folder and stem, and the projectors among the files."""
    sets: dict[tuple[Path, str, int], dict[int, StoredFile]] = defaultdict(dict)
    projectors = []
    for file in files:
        if is_projector(file.path.name):
            projectors.append(file)
            continue
        shard = shard_of(file.path)
        stem, total, number = (shard.stem, shard.total, shard.number) if shard else (file.path.stem, 1, 1)
        if 1 <= number <= total:
            sets[file.path.parent, stem, total][number] = file
    found = [
        FileSet(stem, tuple(numbered[number] for number in sorted(numbered)), total)
        for (_, stem, total), numbered in sorted(sets.items())
    ]
    return found, projectors
