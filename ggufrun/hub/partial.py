"""A file that comes in parts: its bytes under a name that nobody takes for the whole, and the journal beside it."""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ggufrun.hub.front import make_sparse
from ggufrun.hub.journal import Journal, Record, Subject, new_journal, read_journal
from ggufrun.hub.segments import MIB, Span, merged, missing
from ggufrun.hub_errors import DiskFull
from ggufrun.store.hub_cache import PARTIAL, RepoCache

_SYNC_EACH: Final = 64 * MIB  # what a power cut can cost; a kill costs none of it
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class Closed(Exception):
    """A thread wrote to a file that was given up meanwhile."""


class Partial:
    """One file under way. Several threads may write, each its own bytes; the file's lock is held by who opens this.

    The file has its full size from the beginning and is sparse. Room is not reserved: where a file system does not
    know how, the C library would write all of it.
    """

    def __init__(self, store: RepoCache, subject: Subject, revision: str = "main") -> None:
        """Go on with what is there of these very bytes, or begin. DiskFull."""
        self.subject = subject
        self._path, self._journal_path = store.partial(subject.etag), store.journal(subject.etag)
        record = usable(store, subject)
        self._spans = record.done if record else ()
        self._unsynced = 0
        self._lock = threading.Lock()
        self._closed = True
        try:
            with self._worded():
                store.blobs.mkdir(parents=True, exist_ok=True)
                self._begin(record is None, revision)
        except DiskFull:
            if record is None:
                self._path.unlink(missing_ok=True)
            raise

    def _begin(self, anew: bool, revision: str) -> None:
        if anew:
            self._journal_path.unlink(missing_ok=True)  # before the file has its size: what it says is not so
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if anew else 0) | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._path, flags, 0o666)
        try:
            with os.fdopen(self._file, "rb", closefd=False) as file:
                make_sparse(file)
            os.ftruncate(self._file, self.subject.size)
            os.fsync(self._file)  # the new journal calls all of it synced
            self._journal = Journal(self._journal_path, self.subject, self._spans, revision)
        except BaseException:
            os.close(self._file)
            raise
        self._closed = False

    @property
    def path(self) -> Path:
        return self._path

    @property
    def done(self) -> int:
        """Bytes."""
        return sum(span.size for span in self._spans)

    def missing(self, within: Span) -> tuple[Span, ...]:
        return missing(self._spans, within)

    def write(self, start: int, data: bytes | bytearray) -> None:
        """Write, and record it. Raises Closed, or DiskFull."""
        span = Span(start, start + len(data))
        with self._lock:
            if self._closed:
                raise Closed
            with self._worded():
                _write_at(self._file, data, start)
                self._journal.mark(span)
            self._spans = merged((*self._spans, span))
            self._unsynced += span.size
            due = self._unsynced >= _SYNC_EACH
        if due:
            self._sync()

    def close(self) -> None:
        """Nothing is written any more; what is here stays for the next process. Twice is once."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._file)
                self._journal.close()

    def finish(self, to: Path) -> None:
        """Give the whole and checked file its name. It is on the disk before it has it. DiskFull."""
        with self._worded():
            with self._lock:
                os.fsync(self._file)
            self.close()
            os.replace(self._path, to)
        self._journal_path.unlink(missing_ok=True)

    def discard(self) -> None:
        self.close()
        _remove(self._path, self._journal_path)

    def _sync(self) -> None:
        """Outside of the lock, on a descriptor of its own: the other threads write on meanwhile."""
        with self._lock:
            if self._closed:
                return
            self._unsynced = 0
            spans, copy = self._spans, os.dup(self._file)
        try:
            with self._worded():
                getattr(os, "fdatasync", os.fsync)(copy)
        finally:
            os.close(copy)
        with self._lock, self._worded():
            if not self._closed:
                self._journal.synced(spans)

    @contextmanager
    def _worded(self) -> Iterator[None]:
        """A disk that is full, or a quota that is used up, ends in DiskFull."""
        try:
            yield
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            folder = self._path.parent
            while not folder.exists():
                folder = folder.parent
            raise DiskFull(folder, self.subject.size - self.done, shutil.disk_usage(folder).free) from error


def usable(store: RepoCache, subject: Subject) -> Record | None:
    """What an earlier process left of these very bytes."""
    record = read_journal(store.journal(subject.etag))
    partial = store.partial(subject.etag)
    if record is None or (record.subject.etag, record.subject.size) != (subject.etag, subject.size):
        return None
    return record if partial.is_file() and partial.stat().st_size == subject.size else None


def outdated(store: RepoCache, subject: Subject, revision: str) -> tuple[str, ...]:
    """The etags of what an earlier process left of a file of this name, and that the hub has replaced since.

    Only of the same revision: another one's file is another file, which can still be had.
    """
    names = [each.name.removesuffix(PARTIAL) for each in store.partials() if each.name.endswith(PARTIAL)]
    records = [(etag, read_journal(store.journal(etag))) for etag in names if etag != subject.etag]
    same = (subject.path, revision)
    return tuple(etag for etag, record in records if record and (record.subject.path, record.revision) == same)


def remove(store: RepoCache, etag: str) -> None:
    _remove(store.partial(etag), store.journal(etag))


def _remove(partial: Path, journal: Path) -> None:
    new_journal(journal).unlink(missing_ok=True)
    journal.unlink(missing_ok=True)  # first: bytes without a record are begun anew, a record without bytes is not
    partial.unlink(missing_ok=True)


def _write_at(file: int, data: bytes | bytearray, start: int) -> None:
    view = memoryview(data)
    while view:
        if hasattr(os, "pwrite"):
            written = os.pwrite(file, view, start)
        else:
            os.lseek(file, start, os.SEEK_SET)
            written = os.write(file, view)
        view, start = view[written:], start + written
