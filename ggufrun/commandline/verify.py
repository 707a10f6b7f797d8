"""`ggufrun verify`: reads files whole and compares their sha256 with what the hub or Ollama calls them by."""

import os
import sys
from collections.abc import Sequence

from ggufrun.commandline.table import printable
from ggufrun.errors import GgufrunError, ModelFileError, ModelNotFound, WrongBytes
from ggufrun.hub.checksum import check
from ggufrun.store.find import find
from ggufrun.store.places import Places
from ggufrun.store.resolve import check_stored
from ggufrun.store.stored import StoredFile, StoredModel
from ggufrun.terminal.progress import ProgressLine
from ggufrun.userconfig import data_folder
from ggufrun.validation import nearest

_AGAIN = {
    "lmstudio": "Delete {name} in LM Studio and fetch it again.",
    "ollama": "ollama rm {name}, then ollama pull {name}",
}


def verify(names: Sequence[str]) -> None:
    """Prints a line a model. Raises GgufrunError at the end where one is wrong, InputError for an unknown name."""
    places = Places.here(os.environ, data_folder(os.environ))
    here = [] if names else places.models()
    models = [_named(name, places) for name in names] or [each for each in here if each.source in ("models", "hub")]
    wrong = []
    for model in models:
        if model.partial is not None:
            print(printable(f"{model.name}: not whole yet; ggufrun pull {model.name} goes on"))
        elif fault := _fault(model):
            wrong.append(model)
            print(printable(f"{model.name}: WRONG: {fault}"))
        else:
            known = all(file.sha256 for file in model.files)
            print(printable(f"{model.name}: right ({'sha256' if known else 'header and size; no checksum is known'})"))
    if wrong:
        count = "One model is" if len(wrong) == 1 else f"{len(wrong)} models are"
        raise GgufrunError(f"{count} damaged.", " ".join(map(_again, wrong)))


def _again(model: StoredModel) -> str:
    return _AGAIN.get(model.source, "ggufrun rm {name}, then ggufrun pull {name}").format(name=model.name)


def _named(name: str, places: Places) -> StoredModel:
    model = find(name, places, partial=True)
    if model is None:
        raise ModelNotFound(name, nearest(name, [each.name for each in places.models()]))
    return model


def _fault(model: StoredModel) -> str:
    """A sentence about the first file that is wrong; "" where none is."""
    for file in (*model.files, *model.projectors):
        if file.sha256 is None:
            continue
        try:
            _check(file, file.sha256)
        except WrongBytes as error:
            return f"the sha256 of {file.path.name} is {error.found[:12]}…, and it should be {error.expected[:12]}…"
    try:
        check_stored(model)
    except ModelFileError as error:
        return str(error)
    return ""


def _check(file: StoredFile, sha256: str) -> None:
    line = ProgressLine(sys.stderr, sys.stderr.isatty())
    try:
        check(file.path, sha256, file.path.name, lambda done: line.show(done / (file.size or 1), file.path.name))
    finally:
        line.clear()
