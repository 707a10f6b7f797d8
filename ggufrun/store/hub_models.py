"""Models in the Hugging Face cache: each quant once, whatever snapshots have it, and what came in part only."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from ggufrun.store.hub_cache import CachedFile, RepoCache, repositories
from ggufrun.store.looking import changed
from ggufrun.store.parts import Part, nameless_blobs, parts_of
from ggufrun.store.sets import FileSet, is_gguf, place_of, put_together
from ggufrun.store.stored import StoredFile, StoredModel, card_of
from ggufrun.weights.cards import Card
from ggufrun.weights.folders import is_projector
from ggufrun.weights.naming import label_in, long_name, set_names, stem_name

LEFT_OVER: Final = "left-over"  # behind the colon: what of a repository belongs to no model of it

_Key = tuple[str, str, int]  # a model of a repository: folder, stem, number of files; "" and 0 where the stem will do


@dataclass(frozen=True, slots=True)
class _Found:
    """The files of one model: of a snapshot, under way, or of a split set some so and some so."""

    path: PurePosixPath  # the first one's, in the repository
    files: tuple[StoredFile, ...]
    sizes: tuple[int, ...]  # bytes that each should have; 0: nobody knows
    total: int  # how many files there should be
    modified: float
    mark: str  # tells it from other versions of the model: its commit, or what came in part
    begun: bool = False  # some came in part
    projectors: tuple[StoredFile, ...] = ()

    @property
    def partial(self) -> tuple[int, int] | None:
        """Bytes that are here, and of how many; 0: nobody knows."""
        complete = len(self.files) == self.total
        if complete and not self.begun:
            return None
        return sum(file.size for file in self.files), sum(self.sizes) if complete and all(self.sizes) else 0


def hub_models(cache: Path, cards: Sequence[Card]) -> list[StoredModel]:
    """By repository; of a quant that lies here in several versions the latest comes first."""
    return [model for repo in repositories(cache) for model in models_of(repo, cards)]


def models_of(repo: RepoCache, cards: Sequence[Card]) -> list[StoredModel]:
    """A quant that two snapshots share is one model; one that was changed between them is two."""
    snapshots = {commit: list(repo.files(commit)) for commit in _latest_first(repo)}
    parts = parts_of(repo)
    begun = [part for part in parts if part.name and not is_projector(part.name)]
    found, projectors, stems = _in_snapshots(snapshots)
    _add(begun, found)
    stems.append(Counter(stem for _, stem, _ in {_place(part) for part in begun}))
    models = _named(repo, found, stems, cards)
    models += [_nameless(repo, part, cards) for part in parts if not part.name]
    left = nameless_blobs(repo, {file.etag for files in snapshots.values() for file in files if file.etag})
    if not models:  # nobody is there to use them
        left += [*projectors, *(part.file for part in parts)]
    return [*models, _left_over(repo, left)] if left else models


def is_left_over(model: StoredModel) -> bool:
    return model.source == "hub" and model.name.endswith(f":{LEFT_OVER}")


def _latest_first(repo: RepoCache) -> list[str]:
    """What `main` means comes before all others."""
    commits = list(reversed(repo.commits()))
    main = repo.commit_of("main")
    return sorted(commits, key=lambda commit: commit != main)


def _in_snapshots(
    snapshots: dict[str, list[CachedFile]],
) -> tuple[list[_Found], list[StoredFile], list[Counter[str]]]:
    """The sets of files, each once; all projectors; and how many sets of one stem each snapshot has."""
    names: dict[Path, list[Path]] = defaultdict(list)
    for file in (file for files in snapshots.values() for file in files if is_gguf(file.link)):
        names[file.real].append(file.link)
    found: dict[tuple[Path, ...], _Found] = {}
    seeing: dict[Path, StoredFile] = {}
    stems = []
    for commit, files in snapshots.items():
        ggufs = [file for file in files if is_gguf(file.link)]
        paths = {file.link: file.path for file in ggufs}
        sets, projectors = put_together(
            StoredFile(file.link, file.size, file.etag, tuple(names[file.real])) for file in ggufs
        )
        for each in sets:
            found.setdefault(tuple(file.places[0] for file in each.files), _whole(each, paths, commit, projectors))
        for projector in projectors:
            seeing.setdefault(projector.places[0], projector)
        stems.append(Counter(each.stem for each in sets))
    return list(found.values()), list(seeing.values()), stems


def _whole(each: FileSet, paths: dict[Path, str], commit: str, projectors: Iterable[StoredFile]) -> _Found:
    first = each.files[0].path
    sizes = tuple(file.size for file in each.files)
    return _Found(
        PurePosixPath(paths[first]), each.files, sizes, each.total, changed(first), commit[:8], False, tuple(projectors)
    )


def _add(parts: Iterable[Part], found: list[_Found]) -> None:
    """Of a split set some files may be whole and others under way."""
    lacking: dict[tuple[PurePosixPath, str, int], int] = {}
    for at, each in enumerate(found):
        if each.partial:
            lacking.setdefault(place_of(each.path)[0], at)
    for part in sorted(parts, key=lambda part: part.name):
        place, path = _place(part), PurePosixPath(part.name)
        at = lacking.setdefault(place, len(found))
        if at < len(found):
            files, sizes = (*found[at].files, part.file), (*found[at].sizes, part.size)
            found[at] = replace(found[at], files=files, sizes=sizes, begun=True)
        else:
            mark = f"part-{part.etag[:8]}"
            found.append(_Found(path, (part.file,), (part.size,), place[2], part.modified, mark, True))


def _place(part: Part) -> tuple[PurePosixPath, str, int]:
    return place_of(PurePosixPath(part.name))[0]


def _named(
    repo: RepoCache, found: Sequence[_Found], stems: Sequence[Counter[str]], cards: Sequence[Card]
) -> list[StoredModel]:
    """Called as `pull` calls them; of several versions of one model the later ones have their mark behind the name."""
    several = {stem for counted in stems for stem, count in counted.items() if count > 1}

    def key(each: _Found) -> _Key:
        folder, stem, total = place_of(each.path)[0]
        return (str(folder), stem, total) if stem in several else ("", stem, 0)

    versions: dict[_Key, list[_Found]] = defaultdict(list)
    for each in found:
        versions[key(each)].append(each)
    models = {}
    for name, those in zip(set_names([each[0].path for each in versions.values()]), versions.values(), strict=True):
        for older, each in enumerate(those):
            models[id(each)] = _model(repo, each, name, cards, latest=not older)
    return [models[id(each)] for each in found]


def _model(repo: RepoCache, each: _Found, name: str, cards: Sequence[Card], *, latest: bool) -> StoredModel:
    stem, spec = place_of(each.path)[0][1], f"{repo.repo}:{name}"
    others = (
        stem,
        f"{stem}.gguf",
        *(f"{repo.repo}:{name}" for name in (stem, stem_name(each.path), long_name(each.path))),
    )
    return StoredModel(
        name=spec if latest else f"{spec}-{each.mark}",
        source="hub",
        files=each.files,
        quant=label_in(each.path),
        card=card_of(cards, Path(each.path), repo.repo),
        modified=each.modified,
        also=tuple(dict.fromkeys(others)) if latest else (),
        projectors=each.projectors,
        partial=each.partial,
        spec=spec,
        folder=repo.folder,
    )


def _nameless(repo: RepoCache, part: Part, cards: Sequence[Card]) -> StoredModel:
    return StoredModel(
        name=f"{repo.repo}:part-{part.etag[:8]}",
        source="hub",
        files=(part.file,),
        card=card_of(cards, Path("?"), repo.repo),
        modified=part.modified,
        partial=(part.file.size, 0),
        spec=repo.repo,
        folder=repo.folder,
    )


def _left_over(repo: RepoCache, files: Sequence[StoredFile]) -> StoredModel:
    return StoredModel(
        name=f"{repo.repo}:{LEFT_OVER}",
        source="hub",
        files=tuple(files),
        modified=max(changed(file.path) for file in files),
        partial=(sum(file.size for file in files), 0),
        folder=repo.folder,
    )
