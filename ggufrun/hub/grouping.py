"""A repository's files to quants and projectors: which belong together, what each is called, and what is left out."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from ggufrun.hub.files import HubFile, HubQuant, is_safe
from ggufrun.weights.folders import is_projector, shard_of
from ggufrun.weights.naming import set_names
from ggufrun.weights.quants import label_of

_BESIDE: Final = re.compile(  # drafts and adapters, which are GGUFs beside a model and no quants of it
    r"(?:mtp|draft|eagle3?|dflash|dspark|ggml-vocab)[-_.]|(?:.*[-_.])?(?:lora|adapter)(?:[-_.].*)?", re.IGNORECASE
)
_MATRIX: Final = re.compile(r"(?:.*[-_.])?imatrix(?:[-_.].*)?", re.IGNORECASE)
_MERGED: Final = re.compile(r"merged", re.IGNORECASE)

_MOST_NOTES: Final = 20

_Set = tuple[str, str, int]  # folder, stem, how many files; 0: a file of its own


@dataclass(frozen=True, slots=True)
class Grouped:
    """`quants` and `projectors` from the smallest to the largest; `notes` are sentences about what was left out."""

    quants: tuple[HubQuant, ...]
    projectors: tuple[HubFile, ...]
    notes: tuple[str, ...]


def group(entries: Iterable[tuple[str, int, str | None]]) -> Grouped:
    """`entries` are all of a repository's files as path, size and sha256; only .gguf files count."""
    notes, projectors = [], []
    sets: dict[_Set, dict[int, HubFile]] = defaultdict(dict)
    ggufs = sorted(entry for entry in entries if entry[0].lower().endswith(".gguf"))
    taken = {path.lower() for path, _, _ in ggufs}
    for path, size, sha256 in ggufs:
        if not is_safe(path):
            notes.append(f"{path[:80]!r} is left out: its name could lead elsewhere.")
            continue
        if any(str(folder).lower() in taken for folder in PurePosixPath(path).parents):
            notes.append(f"{path} is left out: the repository has a file where its folder should be.")
            continue
        file = HubFile(path, size, sha256)
        if is_projector(file.name):
            projectors.append(file)
        elif not _is_beside(file.name):
            key, number = _place(file)
            sets[key][number] = file
    whole = []
    for key, files in sets.items():
        if missing := _missing(key, files):
            notes.append(missing)
        else:
            whole.append(tuple(files[number] for number in sorted(files)))
    names = set_names([PurePosixPath(files[0].path) for files in whole])
    quants = [HubQuant(name, files) for name, files in zip(names, whole, strict=True)]
    return Grouped(
        tuple(sorted(quants, key=lambda quant: (quant.size, quant.name))),
        tuple(sorted(projectors, key=lambda file: (file.size, file.path))),
        tuple(notes[:_MOST_NOTES]),
    )


def _is_beside(name: str) -> bool:
    stem = name[: -len(".gguf")]
    if _MATRIX.fullmatch(stem):
        return not label_of(PurePosixPath(name))  # a quant's name may tell that a matrix was used for it
    return bool(_BESIDE.match(f"{stem}.")) and not _MERGED.search(stem)


def _place(file: HubFile) -> tuple[_Set, int]:
    path = PurePosixPath(file.path)
    shard = shard_of(path)
    if shard is None:
        return (str(path.parent), path.stem, 0), 1
    return (str(path.parent), shard.stem, shard.total), shard.number


def _missing(key: _Set, files: dict[int, HubFile]) -> str:
    """A sentence where a split set is not whole."""
    total = key[2] or 1
    if sorted(files) == list(range(1, total + 1)):
        return ""
    there = next(iter(files.values())).path
    return f"{there} is left out: of its split set of {total} files the repository has {len(files)}."
