"""The Python packages that cards name: a GGUF file that was installed with pip."""

import importlib.util
from pathlib import Path

from ggufrun.store.looking import file_status
from ggufrun.store.stored import StoredFile, StoredModel
from ggufrun.weights.cards import Card
from ggufrun.weights.quants import label_of


def packaged_model(card: Card) -> StoredModel | None:
    """The model of a card whose file an installed Python package holds."""
    if card.package is None or card.package_file is None:
        return None
    package = importlib.util.find_spec(card.package)  # not imported: the package may be heavy
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / card.package_file
    status = file_status(path)
    if status is None:
        return None
    file = StoredFile(path, status.st_size)
    return StoredModel(
        card.name, "package", (file,), label_of(path), card, status.st_mtime, also=(path.stem, path.name)
    )
