"""What a pull will do, before it does it: which files, what of them is here, what is to come, whether there is room."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.hub.cached import cached_repo
from ggufrun.hub.client import Client
from ggufrun.hub.files import HubFile, HubQuant, Listing
from ggufrun.hub.journal import Subject
from ggufrun.hub.partial import outdated, usable
from ggufrun.hub_errors import DiskFull, HubError
from ggufrun.store.hub_cache import RepoCache

MARGIN: Final = 1 << 30  # bytes that a disk keeps: others write to it, too


@dataclass(frozen=True, slots=True)
class PulledFile:
    """One file, and how much of it is here."""

    file: HubFile
    etag: str  # the checksum that its bytes must have
    done: int  # bytes

    @property
    def here(self) -> bool:
        return self.done == self.file.size

    @property
    def coming(self) -> int:
        return self.file.size - self.done


@dataclass(frozen=True, slots=True)
class PullPlan:
    """The quant's files in their order, then the projector. Bytes."""

    store: RepoCache
    commit: str
    revision: str  # what was asked for
    files: tuple[PulledFile, ...]
    free: int  # on the cache's disk, with what the pull will remove there

    @property
    def size(self) -> int:
        return sum(each.file.size for each in self.files)

    @property
    def coming(self) -> int:
        return sum(each.coming for each in self.files)

    @property
    def path(self) -> Path:
        """Where the first file will be: the one that is loaded."""
        return self.store.link(self.commit, self.files[0].file.path)


def plan_pull(client: Client, listing: Listing, quant: HubQuant, projector: HubFile | None = None) -> PullPlan:
    """Raises DiskFull, and what the hub refuses: a gated repository lists its files to all and gives them to few."""
    store = RepoCache(client.cache, listing.repo)
    wanted = (*quant.files, projector) if projector else quant.files
    files = tuple(_looked_at(client, store, listing, file) for file in wanted)
    lacking = next((each for each in files if not each.here), None)
    if lacking is not None and (listing.gated or listing.private):
        client.metadata(listing.repo, listing.commit, lacking.file.path)
    free = _free(store.folder) + sum(_replaced(store, each, listing.revision) for each in files if not each.here)
    plan = PullPlan(store, listing.commit, listing.revision, files, free)
    if plan.coming and plan.coming + MARGIN > plan.free:
        raise DiskFull(store.cache, plan.coming, plan.free, MARGIN)
    return plan


def begun(client: Client, listing: Listing) -> HubQuant | None:
    """The quant of which most has come, of those of which something has come and something has not."""
    store, most, found = RepoCache(client.cache, listing.repo), 0, None
    for quant in listing.quants:
        if all(file.sha256 for file in quant.files):
            done = sum(_looked_at(client, store, listing, file).done for file in quant.files)
            if most < done < quant.size:
                most, found = done, quant
    return found


def placed(store: RepoCache, commit: str, file: HubFile, etag: str) -> bool:
    """Whether it is whole under its name in the commit."""
    link, blob = store.link(commit, file.path), store.blob(etag)
    try:
        return link.is_file() and link.stat().st_size == file.size and (not blob.exists() or link.samefile(blob))
    except FileNotFoundError:  # removed at this moment
        return False


def here(store: RepoCache, commit: str, file: HubFile, etag: str) -> bool:
    """Whether it is whole in the cache, whoever fetched it. Its bytes are not read: `ggufrun verify` does that."""
    places = (store.link(commit, file.path), store.blob(etag))
    return any(place.is_file() and place.stat().st_size == file.size for place in places)


def quants_here(cache: Path, listing: Listing) -> frozenset[str]:
    """The names of those that are whole in the cache: these very bytes, and no other file of the same size."""
    store, commit = cached_repo(cache, listing.repo), listing.commit
    return frozenset(
        quant.name
        for quant in listing.quants
        if all(file.sha256 and here(store, commit, file, file.sha256) for file in quant.files)
    )


def _looked_at(client: Client, store: RepoCache, listing: Listing, file: HubFile) -> PulledFile:
    etag = file.sha256 or _etag(client, listing, file)
    if here(store, listing.commit, file, etag):
        return PulledFile(file, etag, file.size)
    record = usable(store, Subject(file.path, etag, file.size))
    # A file that came whole and was not checked yet has a byte to come: it is not here.
    done = min(sum(span.size for span in record.done), file.size - 1) if record else 0
    return PulledFile(file, etag, done)


def _etag(client: Client, listing: Listing, file: HubFile) -> str:
    """Of a file that is not in LFS; the listing does not tell."""
    found = client.metadata(listing.repo, listing.commit, file.path)
    if found.size != file.size:
        raise HubError(f"{file.path} is not what the hub listed a moment ago.", "Somebody is changing it: pull again.")
    return found.etag


def _replaced(store: RepoCache, lacking: PulledFile, revision: str) -> int:
    """Bytes on the disk of what came of an older state of the file: the pull removes it first."""
    old = outdated(store, Subject(lacking.file.path, lacking.etag, lacking.file.size), revision)
    return sum(getattr(store.partial(etag).stat(), "st_blocks", 0) * 512 for etag in old)


def _free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
