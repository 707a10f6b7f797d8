"""`ggufrun rm`: delete a model's files, after asking. Other programs' stores are left to them."""

import os
import sys

from ggufrun.commandline.listing import gigabytes
from ggufrun.commandline.table import printable
from ggufrun.errors import InputError, ModelNotFound, OptionError
from ggufrun.store.find import find
from ggufrun.store.places import Places
from ggufrun.store.removing import check_removable, remove
from ggufrun.store.stored import SOURCES, StoredModel
from ggufrun.userconfig import data_folder
from ggufrun.validation import nearest


def rm(name: str, *, sure: bool) -> None:
    """Raises ModelNotFound, OptionError, and InputError while a file of it is being fetched."""
    places = Places.here(os.environ, data_folder(os.environ))
    model = find(name, places, partial=True)
    if model is None:
        raise ModelNotFound(name, nearest(name, [each.name for each in places.models()]))
    check_removable(model)
    if not sure and not _agreed(model):
        raise InputError("Nothing was deleted.")
    from ggufrun.hub.lock import held_now  # late: what it imports takes 0.2 s

    freed = remove(model, held_now)
    print(printable(f"Deleted {model.name}: {gigabytes(freed)} are free again."))


def _agreed(model: StoredModel) -> bool:
    if not sys.stdin.isatty():
        raise OptionError("There is no terminal to ask on.", "Add --yes to delete without a question.")
    count = "its file" if len(model.files) == 1 else f"its {len(model.files)} files"
    question = f"Delete {model.name} ({SOURCES[model.source]}): {count}, {gigabytes(model.size)}? [y/N] "
    return input(printable(question)).strip().lower() in ("y", "yes")
