"""The folder of a page's uploads, there while its program runs. What killed ones have left goes at the next start."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ggufrun.running import alive

_PREFIX: Final = "ggufrun-page-"


@contextmanager
def scratch() -> Iterator[Path]:
    """Where uploads lie until the end."""
    _remove_left()
    prefix = f"{_PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        place = _locked(Path(name))
        try:
            yield Path(name)
        finally:
            if place is not None:
                os.close(place)


def _remove_left() -> None:
    """This user's, whose process is dead. One of another container has a number that is nobody's here, but its lock."""
    if sys.platform == "win32":  # nobody knows there which are alive
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not number.isdecimal() or alive(int(number)):
            continue
        with suppress(OSError):
            if folder.lstat().st_uid == os.getuid() and (place := _locked(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(place)


def _locked(folder: Path) -> int | None:
    """What holds the lock until it is closed. None where another process has it, and where there are none."""
    if sys.platform == "win32":
        return None
    import fcntl

    place = None
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if place is not None:
            os.close(place)
        return None
    return place
