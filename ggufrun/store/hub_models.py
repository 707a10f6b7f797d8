"""Models in the Hugging Face cache: each quant once, whatever snapshots have it, and what came in part only."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ggufrun.store.hub_cache import JOURNAL, PARTIAL, CachedFile, RepoCache, repositories
from ggufrun.store.sets import FileSet, is_gguf, put_together
from ggufrun.store.stored import StoredFile, StoredModel, card_of
from ggufrun.weights.cards import Card
from ggufrun.weights.folders import is_projector
from ggufrun.weights.quants import label_of

_ETAG: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_SHA256: Final = 64  # hex digits
_HEAD: Final = 4096  # bytes of a journal that its first line is within


def hub_models(cache: Path, cards: Sequence[Card]) -> list[StoredModel]:
    """By repository; of a quant that lies here in several versions the latest comes first."""
    return [model for repo in repositories(cache) for model in models_of(repo, cards)]


def models_of(repo: RepoCache, cards: Sequence[Card]) -> list[StoredModel]:
    """A quant that two snapshots share is one model; one that was changed between them is two."""
    snapshots = [list(_ggufs(repo.files(commit))) for commit in _latest_first(repo)]
    places: dict[Path, list[Path]] = defaultdict(list)
    for file in (file for files in snapshots for file in files):
        places[file.real].append(file.link)
    found: list[tuple[FileSet, tuple[StoredFile, ...]]] = []
    seen: set[tuple[Path, ...]] = set()
    for files in snapshots:
        stored = {file.link: _stored(file, places) for file in files}
        sets, projectors = put_together(stored.values())
        for each in sets:
            bytes_of = tuple(file.places[0] for file in each.files)
            if bytes_of not in seen:
                seen.add(bytes_of)
                found.append((each, tuple(projectors)))
    here = [_model(repo, each, projectors, found, cards) for each, projectors in found]
    return _joined([*here, *_partials(repo, cards)])


def _joined(models: Sequence[StoredModel]) -> list[StoredModel]:
    """What came in part, put together: of a split set some files may be whole and others under way."""
    found: dict[str, StoredModel] = {}
    for model in models:
        known = found.setdefault(model.name, model)
        if known is not model and known.partial and model.partial:
            (here, size), (more, of) = known.partial, model.partial
            total = size + of if size and of and len(known.files) > 1 else 0
            found[model.name] = replace(known, files=known.files + model.files, partial=(here + more, total))
    return list(found.values())


def _latest_first(repo: RepoCache) -> list[str]:
    """What `main` means comes before all others."""
    commits = list(reversed(repo.commits()))
    main = repo.commit_of("main")
    return sorted(commits, key=lambda commit: commit != main)


def _ggufs(files: Iterator[CachedFile]) -> Iterator[CachedFile]:
    return (file for file in files if is_gguf(file.link))


def _stored(file: CachedFile, places: dict[Path, list[Path]]) -> StoredFile:
    sha256 = file.etag if file.etag is not None and len(file.etag) == _SHA256 else None
    return StoredFile(file.link, file.size, sha256, tuple(places[file.real]))


def _model(
    repo: RepoCache,
    each: FileSet,
    projectors: tuple[StoredFile, ...],
    all_here: Sequence[tuple[FileSet, tuple[StoredFile, ...]]],
    cards: Sequence[Card],
) -> StoredModel:
    first = each.files[0].path
    stems = {other.stem for other, _ in all_here if other.quant == each.quant}
    short = each.quant if each.quant and len(stems) == 1 else each.stem
    older = [other for other, _ in all_here if (other.stem, other.quant) == (each.stem, each.quant)].index(each)
    commit = first.relative_to(repo.folder / "snapshots").parts[0]
    version = f"-{commit[:8]}" if older else ""
    return StoredModel(
        name=f"{repo.repo}:{short}{version}",
        source="hub",
        files=each.files,
        quant=each.quant,
        card=card_of(cards, first, repo.repo),
        modified=first.stat().st_mtime,
        also=() if older else (each.stem, f"{each.stem}.gguf", f"{repo.repo}:{each.stem}", _folder_name(repo, each)),
        projectors=projectors,
        partial=None if each.whole else (sum(file.size for file in each.files), 0),
        folder=repo.folder,
    )


def _folder_name(repo: RepoCache, each: FileSet) -> str:
    """The name of those that share label and stem with others: folders and stem."""
    folders = each.files[0].path.relative_to(repo.folder / "snapshots").parts[1:-1]
    return f"{repo.repo}:{'-'.join([*folders, each.stem])}"


def _partials(repo: RepoCache, cards: Sequence[Card]) -> Iterator[StoredModel]:
    """Downloads that are under way, or were cut off. Only our own say of which file they are a part."""
    for path in repo.partials():
        status = path.stat()
        etag = path.name.partition(".")[0]
        if not _ETAG.fullmatch(etag) or repo.blob(etag).exists():  # then another download came first
            continue
        name, size = _subject(repo, path, etag)
        if name and (not is_gguf(Path(name)) or is_projector(name)):
            continue
        quant = label_of(Path(name)) if name else ""
        blocks = getattr(status, "st_blocks", None)  # ours are as long as the whole file from the start
        here = min(status.st_size, blocks * 512) if blocks is not None else status.st_size
        yield StoredModel(
            name=f"{repo.repo}:{quant or Path(name).stem}" if name else repo.repo,
            source="hub",
            files=(StoredFile(path, here, etag if len(etag) == _SHA256 else None),),
            quant=quant,
            card=card_of(cards, Path(name or "?"), repo.repo),
            modified=status.st_mtime,
            partial=(here, size),
            folder=repo.folder,
        )


def _subject(repo: RepoCache, path: Path, etag: str) -> tuple[str, int]:
    """The name and size of the whole file, as its journal's first line has them; "" and 0 where there is none."""
    if not path.name.endswith(PARTIAL):
        return "", 0
    try:
        with repo.blobs.joinpath(f"{etag}{JOURNAL}").open("rb") as file:
            head = json.loads(file.read(_HEAD).partition(b"\n")[0])
        return str(head["path"]), int(head["size"])
    except (OSError, ValueError, LookupError, TypeError):
        return "", 0
