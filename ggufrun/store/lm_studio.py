"""LM Studio's models: publisher/repo/FILE.gguf in its folders. Read only: they are LM Studio's to remove."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ggufrun.store.looking import changed, entries, folders_in
from ggufrun.store.sets import FileSet, ggufs_among, put_together
from ggufrun.store.stored import StoredFile, StoredModel, card_of
from ggufrun.weights.cards import Card


def lm_studio_models(folders: Sequence[Path], cards: Sequence[Card]) -> list[StoredModel]:
    found: dict[str, StoredModel] = {}
    for folder in folders:
        for publisher in folders_in(folder):
            for repo in folders_in(publisher):
                for model in _models(repo, f"{publisher.name}/{repo.name}", cards):
                    found.setdefault(model.name.lower(), model)
    return list(found.values())


def _models(folder: Path, repo: str, cards: Sequence[Card]) -> list[StoredModel]:
    sets, projectors = put_together(ggufs_among(entries(folder)))
    labels = Counter(each.quant for each in sets)
    return [_model(each, repo, labels[each.quant] == 1, tuple(projectors), cards) for each in sets]


def _model(
    each: FileSet, repo: str, alone: bool, projectors: tuple[StoredFile, ...], cards: Sequence[Card]
) -> StoredModel:
    """`alone`: no other model of the repository has this quant."""
    first = each.files[0].path
    return StoredModel(
        name=f"{repo}:{each.quant if alone and each.quant else each.stem}",
        source="lmstudio",
        files=each.files,
        quant=each.quant,
        card=card_of(cards, first, repo),
        modified=changed(first),
        also=(each.stem, f"{each.stem}.gguf", f"{repo}:{each.stem}"),
        projectors=projectors,
        partial=None if each.whole else (sum(file.size for file in each.files), 0),
        folder=first.parent,
    )
