"""How long finished parts took, kept beside them: a run that goes on knows from it how long the rest will take"""

from contextlib import suppress
from pathlib import Path

from ggufrun.compare.run.found import read_json, read_part
from ggufrun.compare.scoring.archive import write_json


def keep_seconds(part: Path, seconds: float) -> None:
    """Beside the part. Where there is no room for it, nobody will know."""
    with suppress(OSError):
        write_json(_beside(part), {"seconds": seconds})


def seconds_of(part: Path) -> float | None:
    found = read_part(_beside(part), read_json)
    return None if found is None else float(found["seconds"])


def _beside(part: Path) -> Path:
    return part.with_suffix(".took")
