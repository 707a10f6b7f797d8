"""Whether a file's bytes are those that were recorded, as findings. Who records them is `store.checksum`'s to know."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ggufrun.doctor.finding import Finding
from ggufrun.store.checksum import recorded_sha256, sha256_of

Progress = Callable[[str, int, int], None]  # file name, bytes done, bytes in all


def check_sums(files: Sequence[Path], on_progress: Progress | None = None) -> Iterator[Finding]:
    """One finding for each file that is wrong, and one for all that are right."""
    expected = {path: recorded_sha256(path) for path in files}
    right = 0
    for path, wanted in expected.items():
        if wanted is None:
            continue
        found = _sha256_of(path, on_progress)
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


def _sha256_of(path: Path, on_progress: Progress | None) -> str:
    if on_progress is None:
        return sha256_of(path)
    size = path.stat().st_size
    return sha256_of(path, lambda done: on_progress(path.name, done, size))
