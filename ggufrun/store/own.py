"""The `models` folders of ggufrun's own: GGUF files that a user put there."""

from collections.abc import Sequence
from pathlib import Path

from ggufrun.store.looking import changed
from ggufrun.store.sets import FileSet, ggufs_among, put_together
from ggufrun.store.stored import StoredFile, StoredModel, card_of
from ggufrun.weights.cards import Card


def own_models(folders: Sequence[Path], cards: Sequence[Card]) -> list[StoredModel]:
    """Files in the folders and one level below; where two have the same name, the first folder's."""
    found: dict[str, StoredModel] = {}
    for folder in folders:
        sets, projectors = put_together(ggufs_among([*folder.glob("*"), *folder.glob("*/*")]))
        for each in sets:
            near = tuple(file for file in projectors if file.path.parent == each.files[0].path.parent)
            found.setdefault(each.stem.lower(), _model(each, folder, near, cards))
    return list(found.values())


def _model(each: FileSet, folder: Path, projectors: tuple[StoredFile, ...], cards: Sequence[Card]) -> StoredModel:
    first = each.files[0].path
    here = sum(file.size for file in each.files)
    return StoredModel(
        name=each.stem,
        source="models",
        files=each.files,
        quant=each.quant,
        card=card_of(cards, first),
        modified=changed(first),
        also=(f"{each.stem}.gguf", first.stem, first.name),
        projectors=projectors,
        partial=None if each.whole else (here, 0),
        folder=folder,
    )
