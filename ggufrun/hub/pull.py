"""Fetches a quant into the Hugging Face cache, file by file: wait for the lock, bring what lacks, check, name it.

Bytes have their final name only after their checksum was right. A pull that ends early, however, leaves what came.
"""

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ggufrun.hub import seeding
from ggufrun.hub.client import Client
from ggufrun.hub.journal import Subject
from ggufrun.hub.lock import held, held_now
from ggufrun.hub.partial import Partial, outdated, remove
from ggufrun.hub.pull_plan import PulledFile, PullPlan, begun, here, placed, plan_pull
from ggufrun.hub.remote_header import default_folder
from ggufrun.hub.source import Source
from ggufrun.hub.transfer import Patience, fetch
from ggufrun.hub_errors import HubError, WrongBytes
from ggufrun.store.checksum import check
from ggufrun.store.hub_cache import RepoCache

__all__ = ["Progress", "PullPlan", "PulledFile", "begun", "plan_pull", "pull"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file is. `waiting`: another process fetches it; `done` counts what was read while it is checked."""

    file: str  # its name in the repository
    done: int  # bytes
    size: int
    state: Literal["waiting", "fetching", "checking", "here"]


OnProgress = Callable[[Progress], None]


def pull(
    client: Client,
    plan: PullPlan,
    on_progress: OnProgress = lambda progress: None,
    stop: threading.Event | None = None,
    patience: Patience | None = None,
) -> Path:
    """Returns the path of the first file. `on_progress` is called from any thread.

    HubRefused, HubError (WrongBytes) and DiskFull end it, and so does `stop`, by way of a HubError.
    """
    stop = stop or threading.Event()
    for file in plan.files:
        _File(client, plan, file, on_progress).settle(stop, patience)
    plan.store.point(plan.revision, plan.commit)
    return plan.path


class _File:
    """One file of a pull."""

    def __init__(self, client: Client, plan: PullPlan, planned: PulledFile, on_progress: OnProgress) -> None:
        self._client, self._store, self._commit, self._revision = client, plan.store, plan.commit, plan.revision
        self._file, self._etag, self._on_progress = planned.file, planned.etag, on_progress
        self._subject = Subject(planned.file.path, planned.etag, planned.file.size)
        self._done = planned.done

    def settle(self, stop: threading.Event, patience: Patience | None) -> None:
        """See to it that the file is in its place."""
        what = (self._store, self._commit, self._file, self._etag)
        if not placed(*what):
            lock = self._store.lock(self._etag)
            # What is looked at before may be fetched, or removed, by whoever had the lock.
            with held(lock, stop, lambda: self._tell("waiting", self._done)) as ours:
                if ours and not here(*what):
                    self._bring(stop, patience)
                if not stop.is_set():
                    self._store.place(self._commit, self._file.path, self._etag)
        if stop.is_set():
            raise HubError("The pull was stopped; what came is kept.", "The next `ggufrun pull` goes on from there.")
        self._tell("here", self._file.size)

    def _bring(self, stop: threading.Event, patience: Patience | None) -> None:
        remove_outdated(self._store, self._subject, self._revision)
        source = Source(self._client, self._store.repo, self._commit, self._file.path, self._etag)
        with closing(Partial(self._store, self._subject, self._revision)) as partial:
            seeding.seed(partial, default_folder())
            self._tell("fetching", partial.done)
            fetch(partial, source, stop, lambda: self._tell("fetching", partial.done), patience)
            if stop.is_set():
                return
            try:
                check(partial.path, self._etag, self._file.path, lambda count: self._tell("checking", count))
            except WrongBytes:
                partial.discard()
                seeding.forget(self._subject, default_folder())
                raise
            partial.finish(self._store.blob(self._etag))

    def _tell(self, state: Literal["waiting", "fetching", "checking", "here"], done: int) -> None:
        self._on_progress(Progress(self._file.path, done, self._file.size, state))


def remove_outdated(store: RepoCache, subject: Subject, revision: str) -> None:
    """What came of a file that the hub has replaced since; not where another process is at it."""
    for etag in outdated(store, subject, revision):
        with held_now(store.lock(etag)) as ours:
            if ours:
                remove(store, etag)
