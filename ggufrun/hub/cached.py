"""A repository as the cache has it: for when the hub cannot be asked. Only what came whole is listed."""

from pathlib import Path

from ggufrun.hub.files import Listing
from ggufrun.hub.grouping import group
from ggufrun.store.hub_cache import RepoCache, repositories


def cached_repo(cache: Path, repo: str) -> RepoCache:
    """The repository's folder, which may lack: the hub takes a name in upper and lower case alike."""
    exact = RepoCache(cache, repo)
    if exact.folder.is_dir():
        return exact
    return next((each for each in repositories(cache) if each.repo.lower() == repo.lower()), exact)


def cached_listing(cache: Path, repo: str, revision: str) -> Listing | None:
    """None where nothing is here of what the revision meant when the hub was last asked."""
    store = cached_repo(cache, repo)
    commit = store.commit_of(revision)
    if commit is None:
        return None
    grouped = group((file.path, file.size, file.etag) for file in store.files(commit))
    return Listing(
        repo=store.repo,
        commit=commit,
        quants=grouped.quants,
        projectors=grouped.projectors,
        gated=False,
        private=False,
        licence="",
        parameters=None,
        modified="",
        revision=revision,
        notes=grouped.notes,
    )
