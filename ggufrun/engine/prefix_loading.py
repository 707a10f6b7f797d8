"""A saved prefix on its way from the disk cache to the request that waits for it: read and checked beside the steps.

Which one is worth it, and what becomes of it, is decided in `kv_cache`. Gigabytes take seconds to read and to hash.
"""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from ggufrun.engine.prefix_store import LoadedPrefix, PrefixStore, StoredPrefix

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Load:
    request: int
    found: StoredPrefix
    read: Future[LoadedPrefix | None]
    stop: threading.Event
    behind: set[int] = field(default_factory=set)  # requests that want a state too, and wait for this one to be read


class PrefixLoading:
    """At most one state is in memory: a request that wants another one waits while it is being read.

    One that was read and not yet used makes way, since only a request further ahead in the queue comes to ask.
    """

    def __init__(self, store: PrefixStore) -> None:
        self._store = store
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="prefix-loading")
        self._load: _Load | None = None

    def waits(self, request: int) -> bool:
        """Whether a state is being read that this request has asked for, or has to wait for."""
        load = self._load
        return load is not None and not load.read.done() and (request == load.request or request in load.behind)

    def has_read(self, request: int) -> bool:
        """Whether what this request asked for has been read, or could not be."""
        return self._load is not None and self._load.request == request and self._load.read.done()

    def get(self, request: int) -> tuple[StoredPrefix, LoadedPrefix] | None:
        """What was read for this request, if that went well."""
        if self._load is None or not self.has_read(request):
            return None
        loaded = self._load.read.result()
        return None if loaded is None else (self._load.found, loaded)

    def start(self, request: int, found: StoredPrefix) -> bool:
        """Read `found` for this request, or have it wait for what is being read. False: nothing can be read now."""
        if self._load is not None and not self._load.read.done():
            self._load.behind.add(request)
            return True
        self._load = None
        stop = threading.Event()
        try:
            read = self._helper.submit(self._read, found, stop)
        except RuntimeError as error:  # how Python says that the system gives no more threads
            log.warning("The saved prefix %s is not read: %s.", found.path, error)
            return False
        self._load = _Load(request, found, read, stop)
        return True

    def forget(self, request: int) -> None:
        """The request has what it wanted, or has ended: what is being read for it is given up."""
        if self._load is None:
            return
        self._load.behind.discard(request)
        if self._load.request == request:
            self._load.stop.set()
            self._load = None

    def wait(self, patience: float) -> None:
        """Wait up to `patience` seconds for what is being read."""
        if self._load is not None:
            wait([self._load.read], patience)

    def close(self) -> None:
        if self._load is not None:
            self.forget(self._load.request)
        self._helper.shutdown(wait=False, cancel_futures=True)  # the read itself cannot be cut short

    def _read(self, found: StoredPrefix, stop: threading.Event) -> LoadedPrefix | None:
        try:
            return self._store.load(found, stop.is_set)
        except Exception as error:  # where the thread's work ends: no memory for it, for one; the text is computed
            log.warning("The saved prefix %s cannot be read: %s.", found.path, str(error) or type(error).__name__)
            return None
