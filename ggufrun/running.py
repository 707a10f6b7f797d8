"""Which servers of this user run: each keeps a small file in the data folder, for `ggufrun ps` and `ggufrun stop`."""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_FOLDER: Final = "run"


@dataclass(frozen=True, slots=True)
class Running:
    """`token` is an admin key that lives as long as the server."""

    url: str
    pid: int
    token: str


def place_of(home: Path, port: int, pid: int) -> Path:
    """Where a server's file lies. One that ends late takes no successor's file with it."""
    return home / _FOLDER / f"{port}-{pid}.json"


def announce(place: Path, server: Running) -> None:
    """Let the user's other programs know of the server. Raises OSError."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = place.with_suffix(".tmp")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(server), file)
    unfinished.replace(place)


def withdraw(place: Path) -> None:
    with contextlib.suppress(OSError):
        place.unlink()


def running(home: Path) -> Sequence[Running]:
    """Those whose process is alive, by URL. Files of others are removed."""
    found = []
    for path in sorted((home / _FOLDER).glob("*.json")):
        try:
            server = Running(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):  # ended meanwhile, or not ours
            continue
        if alive(server.pid):
            found.append(server)
        else:
            withdraw(path)
    return sorted(found, key=lambda server: server.url)


def alive(pid: int) -> bool:
    """Whether a process of this user has this number."""
    if sys.platform == "win32":  # os.kill would end it; whoever connects will see
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return False  # another user's by now
    return True
