"""Deletes a stored model's files, and nothing that another model needs or that lies behind a link."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from ggufrun.errors import InputError, OptionError
from ggufrun.store.hub_cache import ETAG, JOURNAL, RepoCache, repositories
from ggufrun.store.hub_models import is_left_over, models_of
from ggufrun.store.stored import SOURCES, StoredFile, StoredModel

Hold = Callable[[Path], AbstractContextManager[bool]]  # the lock of one of the cache's files; False: another has it

_ELSEWHERE: Final = {
    "lmstudio": "Delete it in LM Studio (My Models), or `lms` on the command line.",
    "ollama": "Delete it with: ollama rm {name}",
    "package": "Uninstall the package: pip uninstall {package}",
}


def check_removable(model: StoredModel) -> None:
    """OptionError for what is another program's to delete."""
    if model.source in _ELSEWHERE:
        package = (model.card.package or "" if model.card else "").replace("_", "-")
        hint = _ELSEWHERE[model.source].format(name=model.name, package=package)
        raise OptionError(f"{model.name} belongs to another program's store ({SOURCES[model.source]}).", hint)


def remove(model: StoredModel, hold: Hold) -> int:
    """Bytes that became free. `hold` locks a file of the Hugging Face cache, so that no download is disturbed."""
    check_removable(model)
    if model.folder is None:
        raise OptionError(f"{model.name} lies in no store.", "Delete its file.")
    if model.source == "hub":
        return _remove_cached(model, model.folder, hold)
    return sum(_unlink(file.path, model.folder) for file in model.files)


def remove_damaged(model: StoredModel, file: StoredFile, hold: Hold) -> int:
    """Of a model in the Hugging Face cache this file alone, whoever shows it: `ggufrun pull` brings it again."""
    if model.source != "hub" or model.folder is None:
        raise OptionError(f"{file.path} is not in the Hugging Face cache.", "Delete it yourself.")
    repo = _repository(model, model.folder)
    freed = _remove_file(repo, file, hold, damaged=True)
    _tidy(repo)
    return freed


def _remove_cached(model: StoredModel, folder: Path, hold: Hold) -> int:
    repo = _repository(model, folder)
    freed = sum(_remove_one(repo, file, hold) for file in model.files)
    left = models_of(repo, ())
    if all(map(is_left_over, left)):  # what sees images served all quants
        freed += sum(_remove_left_over(repo, file, hold) for each in left for file in each.files)
        for etag in {path.name.partition(".")[0] for path in repo.blobs.glob("*.incomplete*")}:
            if ETAG.fullmatch(etag):
                freed += _remove_left_over(repo, StoredFile(repo.partial(etag), 0, etag), hold)
    _tidy(repo)
    return freed


def _repository(model: StoredModel, folder: Path) -> RepoCache:
    return RepoCache(folder.parent, model.name.partition(":")[0])


def _remove_left_over(repo: RepoCache, file: StoredFile, hold: Hold) -> int:
    """Unless it is being fetched now: it is not what was to be deleted."""
    try:
        return _remove_one(repo, file, hold)
    except InputError:
        return 0


def _remove_one(repo: RepoCache, file: StoredFile, hold: Hold) -> int:
    if file.path.parent == repo.blobs and file.path.name.endswith(".incomplete"):
        return _remove_partial(repo, file.path.name.partition(".")[0], hold)
    return _remove_file(repo, file, hold)


def _remove_partial(repo: RepoCache, etag: str, hold: Hold) -> int:
    with _locked(repo, etag, hold):
        return sum(_unlink(path, repo.folder) for path in _parts_of(repo, etag))


def _parts_of(repo: RepoCache, etag: str) -> list[Path]:
    """What belongs to a download of one file: our record of its bytes, these, and those of other programs."""
    found = [path for path in repo.blobs.glob(f"{etag}.*") if path.name.endswith((".incomplete", ".incomplete.new"))]
    return sorted(found, key=lambda path: JOURNAL not in path.name)  # bytes without a record are begun anew


def _remove_file(repo: RepoCache, file: StoredFile, hold: Hold, *, damaged: bool = False) -> int:
    """Its links, and its bytes unless another file's link leads to them, too, and they are not `damaged`."""
    real = Path(os.path.realpath(file.path))
    blob = _blob(repo, file, real)
    with _locked(repo, blob.name if blob else None, hold):
        freed = sum(_unlink(place, repo.folder) for place in file.places)
        if blob is not None:
            freed += sum(_unlink(path, repo.folder) for path in _parts_of(repo, blob.name))
            if damaged or not _needed(repo, real):
                freed += _unlink(blob, repo.folder)
        return freed + _remove_shared(repo, real)


def _blob(repo: RepoCache, file: StoredFile, real: Path) -> Path | None:
    """The file's place under `blobs`; None where the snapshot has the bytes themselves."""
    if file.checksum is not None:
        return repo.blob(file.checksum)
    return real if real.parent == Path(os.path.realpath(repo.blobs)) else None


def _needed(repo: RepoCache, real: Path) -> bool:
    return any(file.real == real for commit in repo.commits() for file in repo.files(commit))


def _remove_shared(repo: RepoCache, real: Path) -> int:
    """Newer versions of the hub's library keep some bytes once for all repositories, in the cache's own `blobs`."""
    shared = repo.cache / "blobs"
    if not _inside(real, shared) or not real.is_file():
        return 0
    users = (path for each in repositories(repo.cache) for path in each.blobs.glob("*") if path.is_symlink())
    return 0 if any(Path(os.path.realpath(path)) == real for path in users) else _unlink(real, shared)


@contextmanager
def _locked(repo: RepoCache, etag: str | None, hold: Hold) -> Iterator[None]:
    """The lock of one file of the cache. InputError where somebody fetches it."""
    if etag is None:
        yield
        return
    with hold(repo.lock(etag)) as ours:
        if not ours:
            raise InputError(f"A file of {repo.repo} is being fetched now.", "Stop that first, or wait for it.")
        yield


def _unlink(path: Path, store: Path) -> int:
    """Delete a file that lies in the store, or a link there: never what a link leads to. Gives the bytes it frees."""
    if not _inside(Path(os.path.realpath(path.parent)), store):
        raise OptionError(f"{path} lies outside of {store}: a link leads there.", "Delete it there.")
    try:
        status = path.lstat()
        path.unlink()
    except FileNotFoundError:
        return 0
    # A link frees nothing, and neither does one of several names of the same bytes.
    return _taken(status) if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else 0


def _taken(status: os.stat_result) -> int:
    blocks = getattr(status, "st_blocks", None)  # what a sparse file takes is less than its length
    return status.st_size if blocks is None else min(blocks * 512, max(status.st_size, 1))


def _inside(path: Path, folder: Path) -> bool:
    return path.is_relative_to(os.path.realpath(folder))


def _tidy(repo: RepoCache) -> None:
    """Folders that became empty, and names for commits that nothing is here of any more."""
    for folder in sorted(_folders(repo.folder / "snapshots"), reverse=True):
        _rmdir(folder)
    commits = repo.commits()
    for path in sorted(_files(repo.folder / "refs"), reverse=True):
        revision = path.relative_to(repo.folder / "refs").as_posix()
        if repo.commit_of(revision) not in commits:
            _unlink(path, repo.folder)
    if commits or any(repo.blobs.glob("*")):
        return
    for name in (".no_exist", "trees"):  # what the hub's library remembers of a repository
        for path in _files(repo.folder / name):
            _unlink(path, repo.folder)
    for folder in sorted(_folders(repo.folder), reverse=True):
        _rmdir(folder)
    _rmdir(repo.folder)


def _folders(top: Path) -> Iterator[Path]:
    return (Path(at, name) for at, names, _ in os.walk(top) for name in names)


def _files(top: Path) -> Iterator[Path]:
    return (Path(at, name) for at, _, names in os.walk(top) for name in names)


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # not empty, or a link to a folder
        return
