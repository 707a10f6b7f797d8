"""From what the user typed (`demo`, a path, a card's name) to a GGUF file that can be loaded. Nothing is downloaded."""

import importlib.util
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.errors import InputError, ModelFileError, ModelNotFound, OptionError
from ggufrun.validation import nearest
from ggufrun.weights.cards import Card, load_cards, names_of
from ggufrun.weights.folders import Shard, default_data_folder, local_files, model_folders, shard_of
from ggufrun.weights.header import Header, read_header

_NOT_MODELS: Final = {"mmproj": "an image projector", "adapter": "a LoRA adapter", "imatrix": "an importance matrix"}
_REPO: Final = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """`path` is the file to load (of a split set the first), `name` what to call the model, `shards` all its files."""

    path: Path
    name: str
    card: Card | None
    header: Header
    shards: tuple[Path, ...]
    parameters: int  # elements of all tensors of all shards

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(shard.stat().st_size for shard in self.shards)


def resolve(spec: str, data_folder: Path | None = None) -> ResolvedModel:
    """`spec` is `demo`, a path to a .gguf, or the name of a card or of a file in a `models` folder.

    Raises ModelNotFound, ModelFileError (the file is missing, damaged, foreign or incomplete) or OptionError.
    """
    if not spec.strip():
        raise OptionError("The model's name is empty.", "Give a path to a .gguf file, or `demo`.")
    folders = model_folders(data_folder or default_data_folder())
    cards = load_cards(folders)
    card = next((card for card in cards if card.answers_to(spec)), None)
    if card is not None:
        return _opened(_card_file(card, folders), card, card.name)
    path = Path(os.path.expanduser(spec))
    dropped = [file for file in _local(folders) if _has_name(file, spec)]
    if dropped and not os.path.isfile(path):  # os.path, because a name too long or forbidden is just not a file
        path = _only(spec, dropped)
    elif not _is_path(spec, path):
        raise _not_found(spec, cards, folders)
    card = next((card for card in cards if card.matches(path)), None)
    return _opened(path, card, card.name if card else _stem(path))


def _opened(path: Path, card: Card | None, name: str) -> ResolvedModel:
    shard = shard_of(path)
    if shard is not None and shard.number != 1:
        path = shard.sibling(path, 1)
    shards = _shards(path, shard)
    headers = [read_header(each) for each in shards]
    for number, (each, header) in enumerate(zip(shards, headers, strict=True)):
        _check_place(each, header, number, len(shards))
    _check_model(path, headers[0])
    return ResolvedModel(path, name, card, headers[0], shards, sum(header.parameters for header in headers))


def _shards(path: Path, shard: Shard | None) -> tuple[Path, ...]:
    if shard is None:
        return (path,)
    wanted = [shard.sibling(path, number) for number in range(1, shard.total + 1)]
    missing = [each.name for each in wanted if not each.exists()]
    if len(missing) == len(wanted):
        raise ModelFileError(path, "there is no such file", "Check the path.")
    if missing:
        names = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        reason = f"{len(missing)} of the {len(wanted)} files of this split set are missing: {names}"
        raise ModelFileError(path, reason, "Put all of them into one folder.")
    return tuple(wanted)


def _check_place(path: Path, header: Header, number: int, count: int) -> None:
    """A split set's files say themselves how many there are and which one each is."""
    if header.split_count != count:
        reason = f"its header says it is part of {header.split_count} files, and its name says {count}"
        raise ModelFileError(path, reason, "Give it back the name it was published under (NAME-00001-of-00003.gguf).")
    if header.split_no != number:
        reason = f"its header says it is file {header.split_no + 1} of its split set, and its name says {number + 1}"
        raise ModelFileError(path, reason, "Give the files back the names they were published under.")


def _check_model(path: Path, header: Header) -> None:
    kind = "mmproj" if header.architecture == "clip" else header.text("general.type") or "model"
    if kind in _NOT_MODELS:
        raise ModelFileError(
            path, f"this is {_NOT_MODELS[kind]}, not a language model", "Give the model's own .gguf file."
        )
    if not header.tensors:
        raise ModelFileError(path, "it holds a vocabulary and no weights", "Give the model's own .gguf file.")


def _card_file(card: Card, folders: Sequence[Path]) -> Path:
    if card.package is not None and card.package_file is not None:
        packaged = importlib.util.find_spec(card.package)  # not imported: the package may be heavy
        if packaged is not None and packaged.origin is not None:
            return Path(packaged.origin).parent / card.package_file
    found = [path for path in _local(folders) if card.matches(path)]
    if found:
        return _only(card.name, found)
    if card.package is not None:
        raise InputError(f"The model {card.name!r} is not installed.", f"Install it with: {card.install}")
    raise _not_here(card, folders[0])


def _not_here(card: Card, own: Path) -> InputError:
    """What to download and where to put it, until `ggufrun pull` exists."""
    hint = (
        f"Download one of its quants from {card.url} and put all its files into {own} "
        "(a later version will do this with `ggufrun pull`)."
    )
    return InputError(f"The model {card.name!r} is known, but no file of it is on this machine.", hint)


def _only(name: str, found: Sequence[Path]) -> Path:
    if len(found) > 1:
        names = ", ".join(_stem(path) for path in found)
        raise OptionError(f"{name!r} could be any of these files: {names}.", "Give one of these names, or a path.")
    return found[0]


def _local(folders: Iterable[Path]) -> list[Path]:
    """Files in the folders; where two have the same name, the first folder's."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in local_files(folder):
            found.setdefault(path.name.lower(), path)
    return list(found.values())


def _has_name(path: Path, name: str) -> bool:
    return name.lower().removesuffix(".gguf") in (path.stem.lower(), _stem(path).lower())


def _stem(path: Path) -> str:
    shard = shard_of(path)
    return shard.stem if shard else path.stem


def _is_path(spec: str, path: Path) -> bool:
    if (
        os.path.exists(path)
        or spec.lower().endswith(".gguf")
        or spec.startswith(("~", "."))
        or Path(spec).is_absolute()
    ):
        return True
    separated = "/" in spec or os.sep in spec
    return separated and _REPO.fullmatch(spec) is None


def _not_found(spec: str, cards: Sequence[Card], folders: Iterable[Path]) -> InputError:
    if _REPO.fullmatch(spec):
        hint = "Download a .gguf file from it and give its path (a later version will do this with `ggufrun pull`)."
        return InputError(
            f"There is no file {spec!r}; if it is a Hugging Face repository, it is not on this machine.", hint
        )
    return ModelNotFound(spec, nearest(spec, [*names_of(cards), *map(_stem, _local(folders))]))
