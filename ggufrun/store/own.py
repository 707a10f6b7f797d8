"""The `models` folders of ggufrun's own, and the Python packages that cards name: GGUF files that a user put there."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ggufrun.store.sets import FileSet, is_gguf, put_together
from ggufrun.store.stored import StoredFile, StoredModel, card_of
from ggufrun.weights.cards import Card
from ggufrun.weights.quants import label_of


def own_models(folders: Sequence[Path], cards: Sequence[Card]) -> list[StoredModel]:
    """Files in the folders and one level below; where two have the same name, the first folder's."""
    found: dict[str, StoredModel] = {}
    for folder in folders:
        sets, projectors = put_together(_files(folder))
        for each in sets:
            near = tuple(file for file in projectors if file.path.parent == each.files[0].path.parent)
            found.setdefault(each.stem.lower(), _model(each, folder, near, cards))
    return list(found.values())


def _files(folder: Path) -> Iterator[StoredFile]:
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if is_gguf(path) and path.is_file():
            yield StoredFile(path, path.stat().st_size)


def _model(each: FileSet, folder: Path, projectors: tuple[StoredFile, ...], cards: Sequence[Card]) -> StoredModel:
    first = each.files[0].path
    here = sum(file.size for file in each.files)
    return StoredModel(
        name=each.stem,
        source="models",
        files=each.files,
        quant=each.quant,
        card=card_of(cards, first),
        modified=os.stat(first).st_mtime,
        also=(f"{each.stem}.gguf", first.stem, first.name),
        projectors=projectors,
        partial=None if each.whole else (here, 0),
        folder=folder,
    )


def packaged_model(card: Card) -> StoredModel | None:
    """The model of a card whose file an installed Python package holds."""
    if card.package is None or card.package_file is None:
        return None
    package = importlib.util.find_spec(card.package)  # not imported: the package may be heavy
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / card.package_file
    if not path.is_file():
        return None
    status = path.stat()
    file = StoredFile(path, status.st_size)
    return StoredModel(
        card.name, "package", (file,), label_of(path), card, status.st_mtime, also=(path.stem, path.name)
    )
