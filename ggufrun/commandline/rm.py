"""`ggufrun rm`: delete a model's files, after asking. Other programs' stores are left to them."""

import os
import sys

from ggufrun.commandline.table import printable
from ggufrun.errors import InputError, OptionError
from ggufrun.figures import gb
from ggufrun.store.find import named_or_at
from ggufrun.store.places import Places
from ggufrun.store.removing import check_removable, remove
from ggufrun.store.stored import SOURCES, StoredModel
from ggufrun.weights.folders import data_folder


def rm(name: str, *, sure: bool) -> None:
    """Raises ModelNotFound, OptionError, and InputError while a file of it is being fetched."""
    model = named_or_at(name, Places.here(os.environ, data_folder(os.environ)))
    check_removable(model)
    if not sure and not _agreed(model):
        raise InputError("Nothing was deleted.")
    from ggufrun.hub.lock import held_now  # late: what it imports takes 0.2 s

    freed = remove(model, held_now)
    print(printable(f"Deleted {model.name}: {gb(freed)} are free again."))


def _agreed(model: StoredModel) -> bool:
    if not sys.stdin.isatty():
        raise OptionError("There is no terminal to ask on.", "Add --yes to delete without a question.")
    count = "its file" if len(model.files) == 1 else f"its {len(model.files)} files"
    question = f"Delete {model.name} ({SOURCES[model.source]}): {count}, {gb(model.size)}? [y/N] "
    return input(printable(question)).strip().lower() in ("y", "yes")
