"""A model file that is compared: what its header says of it, and what the cache knows it by. Nothing is loaded"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ggufrun.errors import GgufrunError, InputError, ModelFileError
from ggufrun.llama.identity import digest
from ggufrun.store.resolve import ResolvedModel, resolve
from ggufrun.weights.embeddings import makes_embeddings
from ggufrun.weights.folders import shard_of
from ggufrun.weights.header import Header
from ggufrun.weights.quants import label_of, quant_of


@dataclass(frozen=True, slots=True)
class Contender:
    """`name` is unlike the others' of its comparison. `error` says why it cannot take part; then most is empty."""

    path: Path
    name: str
    quant: str = ""
    sha256: str = ""  # of sizes, headers and samples of the data of all its files
    size: int = 0  # bytes of all its files
    weights: int = 0  # bytes of all tensors
    parameters: int = 0
    found: ResolvedModel | None = None
    error: str | None = None

    @property
    def model(self) -> str:
        """What its file is called without the quant."""
        shard, label = shard_of(self.path), label_of(self.path)
        stem = shard.stem if shard else self.path.stem
        at = stem.upper().rfind(label) if label else 0
        return (stem[:at] if at > 0 else stem).rstrip("-._ ")

    @property
    def bpw(self) -> float:
        return 8 * self.weights / self.parameters if self.parameters else 0.0

    @property
    def header(self) -> Header:
        """Of the first file. Raises InputError for one that cannot take part."""
        if self.found is None:
            raise InputError(f"{self.path}: {self.error}")
        return self.found.header


def contenders(paths: Sequence[Path], home: Path) -> tuple[Contender, ...]:
    """One for each path, in their order, each with a name of its own."""
    read = [_read(path, home) for path in paths]
    return tuple(map(_named, read, _names(read)))


def _read(path: Path, home: Path) -> Contender:
    try:
        found = resolve(str(path), home)
        headers = found.headers()
        total = hashlib.sha256("".join(map(digest, found.shards)).encode())
    except (GgufrunError, OSError) as error:
        return Contender(path, path.stem, error=_why(error))
    if makes_embeddings(found.header.metadata):
        return Contender(path, path.stem, error="It makes embeddings, and writes no text.")
    return Contender(
        path=found.path,
        name=path.stem,
        quant=quant_of(found.path, found.header),
        sha256=total.hexdigest(),
        size=found.size,
        weights=sum(tensor.size or 0 for header in headers for tensor in header.tensors),
        parameters=found.parameters,
        found=found,
    )


def _why(error: GgufrunError | OSError) -> str:
    """Without the path, which stands beside it."""
    return f"{error.reason}. {error.hint}".strip() if isinstance(error, ModelFileError) else str(error)


def _named(contender: Contender, name: str) -> Contender:
    return replace(contender, name=name)


def is_one_model(read: Sequence[Contender]) -> bool:
    """Whether they are quants of one model: their files are called so, or call themselves so."""
    able = [each for each in read if each.found is not None] or list(read)
    if len({each.model.lower() for each in able}) == 1:
        return True
    names = {each.header.text("general.name") if each.found else None for each in able}
    return len(names) == 1 and None not in names


def _names(read: Sequence[Contender]) -> list[str]:
    """The quant where it tells them apart, else the file's name, behind as many of its folders as it takes."""
    quants = [each.quant or each.path.stem for each in read]
    if is_one_model(read) and _differ(quants):
        return quants
    paths = [each.path.absolute().with_suffix("").parts for each in read]
    for folders in range(max(map(len, paths), default=0)):
        names = ["/".join(parts[-1 - folders :]) for parts in paths]
        if _differ(names):
            return names
    return [f"{each.path.stem} ({at + 1})" for at, each in enumerate(read)]


def _differ(names: Sequence[str]) -> bool:
    return max(Counter(names).values(), default=0) < 2
