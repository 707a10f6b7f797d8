"""A repository as the cache has it: for when the hub cannot be asked. Only what came whole is listed."""

from pathlib import Path

from ggufrun.hub.files import Listing
from ggufrun.hub.grouping import group
from ggufrun.store.hub_cache import RepoCache


def cached_listing(cache: Path, repo: str, revision: str) -> Listing | None:
    """None where nothing is here of what the revision meant when the hub was last asked."""
    store = RepoCache(cache, repo)
    commit = store.commit_of(revision)
    if commit is None:
        return None
    grouped = group((file.path, file.size, file.etag) for file in store.files(commit))
    return Listing(
        repo=repo,
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
