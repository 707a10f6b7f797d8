"""Whether a file's bytes are those that were recorded: the Hugging Face cache and Ollama name each blob by its sha256.

The hub is not asked: for a file outside of them nobody knows where it is from.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ggufrun.doctor.finding import Finding
from ggufrun.store.hub_cache import CachedFile, RepoCache

_CHUNK: Final = 8 << 20  # bytes read at once
_OLLAMA: Final = re.compile(r"sha256[-:]([0-9a-f]{64})")
Progress = Callable[[str, int, int], None]  # file name, bytes done, bytes in all


def check_sums(files: Sequence[Path], on_progress: Progress | None = None) -> Iterator[Finding]:
    """One finding for each file that is wrong, and one for all that are right."""
    expected = {path: recorded_sha256(path) for path in files}
    right = 0
    for path, wanted in expected.items():
        if wanted is None:
            continue
        found = sha256_of(path, on_progress)
        if found == wanted:
            right += 1
            continue
        says = f"{path.name}: its sha256 is {found[:12]}… and it was recorded as {wanted[:12]}…."
        yield Finding(
            "sha256", "fault", says, "Its bytes changed on this disk: delete it (`ggufrun rm`), pull it again."
        )
    if right:
        files_ = "The file has" if right == 1 else f"{right} files have"
        yield Finding("sha256", "ok", f"{files_} the sha256 that was recorded when it was fetched.")
    if None in expected.values():
        says = "Nobody recorded the sha256 of this file here: it lies in no hub cache."
        yield Finding("sha256", "note", says, "`sha256sum` and the hub's page of the file tell.")


def recorded_sha256(path: Path) -> str | None:
    """From the name of its blob; None where the file lies in no such store, or is none of its large files."""
    if match := _OLLAMA.fullmatch(path.name):
        return match[1]
    cached = _cached(path)
    return cached.etag if cached is not None and cached.etag is not None and len(cached.etag) == 64 else None


def _cached(path: Path) -> CachedFile | None:
    """CACHE/models--OWNER--NAME/snapshots/COMMIT/…/FILE; the path itself, not what it links to."""
    path = path.absolute()
    for snapshots in path.parents:
        folder = snapshots.parent
        if snapshots.name != "snapshots" or not folder.name.startswith("models--"):
            continue
        repo = folder.name.removeprefix("models--").replace("--", "/", 1)
        commit = path.relative_to(snapshots).parts[0]
        return next((file for file in RepoCache(folder.parent, repo).files(commit) if file.link == path), None)
    return None


def sha256_of(path: Path, on_progress: Progress | None = None) -> str:
    total, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
            done += len(chunk)
            if on_progress:
                on_progress(path.name, done, size)
    return total.hexdigest()
