"""What was read of a file for its header is the beginning of the file itself: a pull takes it from there.

Beside each kept header a note says whose beginning it is, and how long. How it was fetched is `remote_header`'s.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from ggufrun.hub.journal import Subject
from ggufrun.hub.partial import Partial
from ggufrun.hub.segments import MIB, Span, pieces

_NOTE: Final = ".front"


def note(path: Path, etag: str | None, length: int) -> None:
    """`length` bytes from the beginning on are in this sparse file; None for the etag: nobody could look for them."""
    if etag is not None:
        _note_of(path).write_text(f"{etag} {length}\n", "ascii")


def unnote(path: Path) -> None:
    _note_of(path).unlink(missing_ok=True)


def seed(partial: Partial, folder: Path) -> None:
    """Write the beginning that is kept in one of the folder's folders, as far as it is missing and can be read."""
    for path, length in _kept(partial.subject, folder):
        for span in pieces(partial.missing(Span(0, length)), MIB):
            data = _read(path, span)
            if len(data) < span.size:
                break
            partial.write(span.start, data)


def forget(subject: Subject, folder: Path) -> None:
    """Where the whole turned out to be wrong: it may have begun so."""
    for path, _ in _kept(subject, folder):
        with suppress(OSError):  # a folder that is only for reading
            unnote(path)
            path.unlink(missing_ok=True)


def _kept(subject: Subject, folder: Path) -> list[tuple[Path, int]]:
    """Each place of such a beginning, and how long it is. None where the folder cannot be read."""
    name, found = subject.path.rpartition("/")[2], []
    for place in _entries(folder):
        path = place / name
        try:
            etag, length = _note_of(path).read_text("ascii").split()
            if etag == subject.etag and 0 < int(length) <= subject.size == path.stat().st_size:
                found.append((path, int(length)))
        except (OSError, ValueError):  # none there, or one that was not written whole
            continue
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _read(path: Path, span: Span) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(span.start)
            return file.read(span.size)
    except OSError:
        return b""


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + _NOTE)
