"""What was read of a file for its header is the beginning of the file itself: a pull takes it from there.

Beside each kept header a note says whose beginning it is, and how long. How it was fetched is `remote_header`'s.
"""

from collections.abc import Iterator
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
    """Write the beginning that is kept in one of the folder's folders, as far as it is missing."""
    for path, length in _kept(partial.subject, folder):
        with path.open("rb") as file:
            for span in pieces(partial.missing(Span(0, length)), MIB):
                file.seek(span.start)
                partial.write(span.start, file.read(span.size))


def forget(subject: Subject, folder: Path) -> None:
    """Where the whole turned out to be wrong: it may have begun so."""
    for path, _ in _kept(subject, folder):
        unnote(path)
        path.unlink(missing_ok=True)


def _kept(subject: Subject, folder: Path) -> Iterator[tuple[Path, int]]:
    name = subject.path.rpartition("/")[2]
    for place in folder.iterdir() if folder.is_dir() else ():
        path = place / name
        try:
            etag, length = _note_of(path).read_text("ascii").split()
            if etag == subject.etag and 0 < int(length) <= subject.size == path.stat().st_size:
                yield path, int(length)
        except (OSError, ValueError):  # none there, or one that was not written whole
            continue


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + _NOTE)
