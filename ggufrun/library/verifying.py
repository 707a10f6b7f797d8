"""Whether stored models are what they should be: checksums where some were recorded, headers where none were.

Nothing is deleted here.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ggufrun.errors import ModelFileError, ModelNotFound
from ggufrun.hub_errors import WrongBytes
from ggufrun.store.checksum import check, is_sha256, recorded_sha256
from ggufrun.store.find import named, named_or_at
from ggufrun.store.hub_models import is_left_over
from ggufrun.store.parts import is_foreign
from ggufrun.store.places import Places
from ggufrun.store.resolve import check_stored
from ggufrun.store.stored import StoredFile, StoredModel
from ggufrun.weights.folders import shard_of
from ggufrun.weights.split_set import read_set

OnBytes = Callable[[StoredFile, int], None]  # how many bytes of a file were read

_AGAIN: Final = {
    "lmstudio": "Delete {name} in LM Studio and fetch it again.",
    "ollama": "ollama rm {name}, then ollama pull {name}",
    "hub": "ggufrun rm {name}, then ggufrun pull {spec}",
    "package": "Install its package again.",
    "models": "Get {path} again from where it came.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`says` is the rest of a sentence that begins with the model's name.

    `files` are those whose bytes are wrong; none where it is the header that makes no sense.
    """

    model: StoredModel
    state: Literal["right", "wrong", "partial"]
    says: str
    files: tuple[StoredFile, ...] = ()

    def hint(self, *, mended: bool = False) -> str:
        """What to do where it is wrong. `mended`: the wrong files were deleted."""
        model, names = self.model, ", ".join(file.path.name for file in self.files)
        if model.source == "hub" and names:
            brings = f"ggufrun pull {model.spec} brings {names} again."
            return (
                brings if mended else f"ggufrun verify {model.name} --mend deletes {names} and nothing else; {brings}"
            )
        if model.source == "hub" and all(file.checksum for file in model.files):
            return f"{model.name} is as it was published, and another download would be the same: choose another quant."
        path = self.files[0].path if self.files else model.path
        return _AGAIN[model.source].format(name=model.name, spec=model.spec, path=path)


def to_verify(names: Sequence[str], places: Places, *, paths: bool = False) -> list[StoredModel]:
    """Those that are named; without names all of ours. Raises OptionError and ModelNotFound.

    `paths`: a path to any file may be given, too; not for those who ask over a network.
    """
    here = [] if names else places.models()
    meant = _meant if paths else named
    return [meant(name, places) for name in names] or [each for each in here if each.source in ("models", "hub")]


def _meant(name: str, places: Places) -> StoredModel:
    """A file that lies in no store is looked at, too, with the others of its split set."""
    try:
        return named_or_at(name, places)
    except ModelNotFound:
        path = Path(os.path.expanduser(name))
        if not os.path.isfile(path):
            raise
    shard = shard_of(path)
    paths = [shard.sibling(path, number) for number in range(1, shard.total + 1)] if shard else [path]
    there = [each for each in paths if each.is_file()]
    files = tuple(StoredFile(each, each.stat().st_size, recorded_sha256(each)) for each in there)
    return StoredModel(str(path), "models", files)


class Verifying:
    """Reads each file once: several models share what sees images. What `on_bytes` raises ends it."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes
        self._checked: dict[str, str] = {}  # what is wrong, by the file's real path; "": nothing

    def verdict(self, model: StoredModel) -> Verdict:
        if model.partial is not None:
            return Verdict(model, "partial", _what_lacks(model))
        wrong = [(file, says) for file in (*model.files, *model.projectors) if (says := self._wrong(file))]
        if wrong:
            return Verdict(model, "wrong", "; ".join(says for _, says in wrong), tuple(file for file, _ in wrong))
        try:
            if model.folder is None and model.source != "package":  # a file that may as well be no model
                read_set(model.path)
            else:
                check_stored(model)
        except ModelFileError as error:
            return Verdict(model, "wrong", str(error))
        return Verdict(model, "right", _known(model))

    def _wrong(self, file: StoredFile) -> str:
        """A sentence; "" where the bytes are right, or nobody knows what they should be."""
        if file.checksum is None:
            return ""
        real = os.path.realpath(file.path)
        if real not in self._checked:
            self._checked[real] = self._read(file, file.checksum)
        return self._checked[real]

    def _read(self, file: StoredFile, checksum: str) -> str:
        name = file.path.name
        try:
            check(file.path, checksum, name, lambda done: self._on_bytes(file, done))
        except WrongBytes as error:
            return f"the {_kind(checksum)} of {name} is {error.found[:12]}…, and it should be {error.expected[:12]}…"
        return ""


def _what_lacks(model: StoredModel) -> str:
    if is_left_over(model):
        return f"belongs to no model; ggufrun rm {model.name} deletes it"
    if model.source != "hub":
        return "not whole: files of its split set are missing"
    if any(is_foreign(file.path) for file in model.files):
        return f"not whole: another program began to fetch it; ggufrun pull {model.spec} begins anew"
    return f"not whole yet; ggufrun pull {model.spec} goes on"


def _known(model: StoredModel) -> str:
    kinds = {_kind(file.checksum) if file.checksum else "" for file in model.files}
    return "header and size; no checksum is known" if "" in kinds else " and ".join(sorted(kinds, reverse=True))


def _kind(checksum: str) -> str:
    return "sha256" if is_sha256(checksum) else "git sha1"
