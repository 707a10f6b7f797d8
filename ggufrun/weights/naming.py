"""What a repository's sets of files are called, on the hub and here: by label, else by more of their path."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePath, PurePosixPath
from typing import Final

from ggufrun.weights.folders import shard_of
from ggufrun.weights.quants import label_of

_NO_NAME: Final = re.compile(r"[^\w.-]+", re.ASCII)  # what cannot stand behind the colon of a SPEC


def set_names(paths: Sequence[PurePosixPath]) -> list[str]:
    """`paths` are the first files of the sets, as the repository has them. Each gets a name that no other has."""
    found = [""] * len(paths)
    left = list(range(len(paths)))
    for namer in (label_in, stem_name, long_name):
        left = _name_those(left, paths, namer, found)
    for at in left:  # only the number of files differs, or characters that a SPEC cannot hold
        found[at] = f"{long_name(paths[at])}-{at + 1}"
    return found


def _name_those(
    left: Sequence[int], paths: Sequence[PurePosixPath], namer: Callable[[PurePosixPath], str], found: list[str]
) -> list[int]:
    """Name what this namer tells apart from all others; gives back what is still without a name."""
    alike: dict[str, list[int]] = defaultdict(list)
    for at in left:
        alike[namer(paths[at]).lower()].append(at)
    taken = {name.lower() for name in found if name}
    still = []
    for name, those in alike.items():
        if name and len(those) == 1 and name not in taken:
            found[those[0]] = namer(paths[those[0]])
        else:
            still += those
    return sorted(still)


def label_in(path: PurePath) -> str:
    """The quant by the file's name, or by its folder's, as repositories with a folder a quant have it."""
    return label_of(path) or label_of(PurePath(f"{path.parent.name}.gguf"))


def stem_name(path: PurePath) -> str:
    """The file's name, without its number in a split set and without what a SPEC cannot hold."""
    shard = shard_of(path)
    return _NO_NAME.sub("_", shard.stem if shard else path.stem)


def long_name(path: PurePosixPath) -> str:
    return "-".join([*(_NO_NAME.sub("_", folder) for folder in path.parent.parts), stem_name(path)])
