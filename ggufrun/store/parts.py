"""What the Hugging Face cache has of a repository and no snapshot shows: files that came in part, and left-overs."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.store.hub_cache import ETAG, JOURNAL, PARTIAL, RepoCache
from ggufrun.store.looking import entries, file_status
from ggufrun.store.sets import is_gguf
from ggufrun.store.stored import StoredFile

_HEAD: Final = 4096  # bytes of a journal that its first line is within
_MAGIC: Final = b"GGUF"


@dataclass(frozen=True, slots=True)
class Part:
    """A download that is under way, or was cut off. Only our own say of which file they are a part."""

    file: StoredFile  # with the bytes that are here; of several programs' downloads the one that is furthest
    etag: str
    name: str  # in the repository; "" where nobody says
    size: int  # bytes of the whole file; 0 where nobody says
    modified: float


def parts_of(repo: RepoCache) -> list[Part]:
    """Of GGUF files, and of those of which nobody knows what they are."""
    found: dict[str, list[Part]] = defaultdict(list)
    for path in repo.partials():
        etag, status = path.name.partition(".")[0], file_status(path)
        if status is None or not ETAG.fullmatch(etag) or repo.blob(etag).exists():  # another download came first
            continue
        name, size = _subject(repo, path, etag)
        blocks = getattr(status, "st_blocks", None)  # ours are as long as the whole file from the start
        here = min(status.st_size, blocks * 512) if blocks is not None else status.st_size
        found[etag].append(Part(StoredFile(path, here, etag), etag, name, size, status.st_mtime))
    best = [max(those, key=lambda part: (part.name != "", part.file.size)) for those in found.values()]
    return [part for part in best if not part.name or is_gguf(Path(part.name))]


def nameless_blobs(repo: RepoCache, known: Collection[str]) -> list[StoredFile]:
    """Whole GGUF files that no snapshot shows; `known` are the etags of those that one does.

    They stay where a deletion or a download was killed at the wrong moment.
    """
    found = []
    for path in entries(repo.blobs):
        if path.name in known or not ETAG.fullmatch(path.name):
            continue
        status = file_status(path)
        if status is not None and _is_gguf(path):
            found.append(StoredFile(path, status.st_size, path.name))
    return found


def is_foreign(path: Path) -> bool:
    """Whether another program fetched it, and in part: `ggufrun pull` cannot go on with it."""
    return path.name.endswith(".incomplete") and not path.name.endswith(PARTIAL)


def _is_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _subject(repo: RepoCache, path: Path, etag: str) -> tuple[str, int]:
    """The name and size of the whole file, as its journal's first line has them; "" and 0 where there is none."""
    if is_foreign(path):
        return "", 0
    try:
        with repo.blobs.joinpath(f"{etag}{JOURNAL}").open("rb") as file:
            head = json.loads(file.read(_HEAD).partition(b"\n")[0])
        return str(head["path"]), int(head["size"])
    except (OSError, ValueError, LookupError, TypeError):
        return "", 0
