"""The file that a model sees with (mmproj): the one that was named, or the best that lies beside the model"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.errors import ModelFileError
from ggufrun.store.resolve import ResolvedModel
from ggufrun.store.sets import ggufs_among
from ggufrun.weights.embeddings import makes_embeddings
from ggufrun.weights.folders import is_projector
from ggufrun.weights.header import Header, read_header
from ggufrun.weights.naming import stem_name
from ggufrun.weights.projectors import fault_of
from ggufrun.weights.quants import label_of, quant_of

NONE: Final = "none"  # instead of a file: the model is to see nothing
_TYPES: Final = ("F16", "BF16", "Q8_0", "F32")  # the best first
_HINT: Final = "Give the mmproj file that was published with this model, or none."


@dataclass(frozen=True, slots=True)
class Projector:
    """`header` None: the model sees nothing. `note`: why what lies beside it does not serve, as a sentence's part."""

    header: Header | None = None
    note: str = ""


def projector_for(found: ResolvedModel, given: str | None) -> Projector:
    """`given`: a file, "none", or None for what lies beside the model.

    Raises ModelFileError for a file that was given and does not fit; one that was only found is left out.
    """
    if given == NONE:
        return Projector()
    return _beside(found) if given is None else Projector(_named(found, Path(os.path.expanduser(given))))


def projectors_beside(found: ResolvedModel) -> list[Path]:
    """All that may be meant: of a stored model its store's, of a file those in its folder or its repository's.

    Without those that lie in a folder of several models and are another one's.
    """
    return [path for path, _ in _meant(found)]


def _named(found: ResolvedModel, path: Path) -> Header:
    header = read_header(path)
    if fault := fault_of(header, found.header):
        raise ModelFileError(path, fault, _HINT)
    return header


def _beside(found: ResolvedModel) -> Projector:
    fitting, faults = [], []
    for path, header in _meant(found):
        if isinstance(header, ModelFileError):
            faults.append(f"{path.name}: {header.reason}")
        elif fault := fault_of(header, found.header) or _unclear(header, found):
            faults.append(f"{path.name}: {fault}")
        else:
            fitting.append(header)
    if fitting:
        return Projector(min(fitting, key=lambda header: _rank(header, found)))
    return Projector(note=f"images cannot be seen: {'; '.join(faults)}" if faults else "")


def _meant(found: ResolvedModel) -> Iterator[tuple[Path, Header | ModelFileError]]:
    """Those of `_paths` that are not another model's, with their headers or what is wrong with them."""
    mine, others = _words(found.path), _others(found)
    for path in _paths(found):
        read = _read(path)
        words = _called(path, read)
        common, theirs = len(words & mine), max((len(words & other) for other in others), default=0)
        if common > theirs or (common == theirs and (common or not _fault(read, found) or not others)):
            yield path, read


def _unclear(projector: Header, found: ResolvedModel) -> str:
    """Why it may as well be another model's, where no name says whose it is; "" where it is this one's."""
    words = _called(projector.path, projector)
    others = _others(found)
    if not others or words & _words(found.path):
        return ""
    for other in others.values():
        read = _read(other)
        if isinstance(read, Header) and not fault_of(projector, read):
            return f"it may be that of {other.name}; --mmproj FILE says that it is this model's"
    return ""


def _paths(found: ResolvedModel) -> list[Path]:
    if makes_embeddings(found.header.metadata):
        return []
    if found.stored is not None:
        return [file.path for file in found.stored.projectors]
    ggufs = (file.path for folder in _folders(found.path) for file in ggufs_among(folder.glob("*")))
    return sorted(path for path in ggufs if is_projector(path.name))


def _others(found: ResolvedModel) -> dict[frozenset[str], Path]:
    """Other models in the folder, by their words, whatever their quant. A repository's are all of one model."""
    in_hub = any(folder.parent.name == "snapshots" for folder in found.path.parents)
    if in_hub or (found.stored is not None and found.stored.source in ("hub", "ollama")):
        return {}
    ggufs = [file.path for file in ggufs_among(found.path.parent.glob("*"))]
    named = {_words(path): path for path in reversed(ggufs) if not is_projector(path.name)}
    named.pop(_words(found.path), None)
    return named


def _read(path: Path) -> Header | ModelFileError:
    try:
        return read_header(path)
    except ModelFileError as error:
        return error


def _fault(read: Header | ModelFileError, found: ResolvedModel) -> str:
    return fault_of(read, found.header) if isinstance(read, Header) else read.reason


def _called(path: Path, read: Header | ModelFileError) -> frozenset[str]:
    """The words of all its names: a file that is called mmproj-F16.gguf says inside whose it is."""
    inside = read.text("general.name") if isinstance(read, Header) else None
    return _words(path) | (_split(inside) if inside else frozenset())


def _rank(header: Header, found: ResolvedModel) -> tuple[int, int, int, str]:
    """The card's favourite first; then by the words that its name has in common with the model's; then 16 bits."""
    path = header.path
    told = found.card.projector_rank(path.name) if found.card else None
    kind = quant_of(path, header)
    usual = _TYPES.index(kind) if kind in _TYPES else len(_TYPES)
    common = len(_called(path, header) & _words(found.path))
    return 1 << 30 if told is None else told, -common, usual, path.name


def _words(path: Path) -> frozenset[str]:
    """Of a file's name, without those of its quant, which say nothing of whose it is."""
    stem, label = stem_name(path), label_of(path)
    return _split(re.sub(rf"{re.escape(label)}$", "", stem, flags=re.IGNORECASE) if label else stem)


def _split(name: str) -> frozenset[str]:
    words = re.split(r"[^a-z0-9.]+", name.lower())
    return frozenset(word for word in words if word and not re.fullmatch(r"(iq|q|bf|f)\d+", word))


def _folders(path: Path) -> list[Path]:
    """The file's own; in the hub's cache, all up to the snapshot's, since quants may lie in folders of their own."""
    folders = [path.parent]
    for folder in path.parents:
        if folder.parent.name == "snapshots":
            return [*dict.fromkeys((*folders, folder))]
        folders.append(folder)
    return folders[:1]
