"""The record beside a file that comes in parts: which of its bytes are here, for the next process to go on from there.

Lines of JSON, only ever appended, each in one write. A process that is killed loses nothing that it wrote: the pages
are the kernel's. A machine that loses power may keep the record and lose the bytes. So what was forced to the disk is
recorded on its own, and after another start of the machine only that counts.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from ggufrun.hub.segments import Span, merged

_VERSION: Final = 1
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is being fetched. Bytes of another etag or size belong to another file."""

    path: str  # its name in the repository
    etag: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A journal as it was found."""

    subject: Subject
    done: tuple[Span, ...] = field(default=())  # merged
    revision: str = ""  # what was asked for when it was last gone on with


class Journal:
    """One that is being written. Not for several threads at once: `partial.Partial` has the lock."""

    def __init__(self, path: Path, subject: Subject, done: Iterable[Span] = (), revision: str = "main") -> None:
        """Start it with what is known. The file is replaced in one step: the old one counts until then."""
        new = new_journal(path)
        head = {"version": _VERSION, "path": subject.path, "etag": subject.etag, "size": subject.size}
        lines = _line({**head, "boot": _boot(), "revision": revision}) + _line({"synced": _numbers(done)})
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except OSError:  # a full disk
            new.unlink(missing_ok=True)
            raise
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY)

    def mark(self, span: Span) -> None:
        """These bytes were written to the file."""
        os.write(self._file, _line([span.start, span.end]))

    def synced(self, spans: Iterable[Span]) -> None:
        """All of these are on the disk, whatever happens to the machine."""
        os.write(self._file, _line({"synced": _numbers(spans)}))

    def close(self) -> None:
        os.close(self._file)


def new_journal(path: Path) -> Path:
    """Where a journal is while it is begun; a kill at that moment leaves it."""
    return path.with_name(path.name + ".new")


def read_journal(path: Path) -> Record | None:
    """None where there is none, or none that can be understood."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]  # what stands behind the last newline was not written whole
        head = json.loads(lines[0])
        if head["version"] != _VERSION:
            return None
        subject = Subject(str(head["path"]), str(head["etag"]), int(head["size"]))
        same_boot, revision = head["boot"] == _boot(), str(head.get("revision", ""))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    done = [span for line in lines[1:] for span in _spans(line, same_boot)]
    merged_spans = merged(span for span in done if span.start >= 0 and span.end <= subject.size)
    return Record(subject, merged_spans, revision)


def _spans(line: bytes, same_boot: bool) -> Iterator[Span]:
    """What one line says is done. A line that a power cut left as zeros says nothing."""
    try:
        entry: Any = json.loads(line)
        if isinstance(entry, dict):
            yield from [Span(int(start), int(end)) for start, end in entry["synced"]]
        elif same_boot:
            start, end = entry
            yield Span(int(start), int(end))
    except (ValueError, LookupError, TypeError):
        return


def _boot() -> str:
    """A name for the time since the machine was started."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return str(round(psutil.boot_time(), -1))  # to ten seconds, as it moves when the clock is set


def _line(entry: object) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _numbers(spans: Iterable[Span]) -> list[list[int]]:
    return [[span.start, span.end] for span in spans]
