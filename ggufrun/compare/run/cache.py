"""Finished parts of comparisons, in a folder: each under the hash of all that it follows from

A part is found again by the model's bytes, its input, its settings and the version of llama.cpp. So a run that was
killed goes on from there, and a second run of the same loads nothing.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ggufrun.llama import library
from ggufrun.running import alive as is_alive

_UNFINISHED: Final = re.compile(r"\..+\.(\d+)")  # as `scoring.archive` calls a file while this process writes it
FORMAT: Final = 2  # of the parts; another one, and the old are not found
_ABANDONED_S: Final = 86_400.0  # since something was written to it: its process's number is another's by now
_MOST: Final = 8 << 30  # bytes; the parts that were not used for the longest go first


class Cache:
    """Of one folder, made when something is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._version = f"{library.version()} {version('llama_cpp_python')}"

    def path(self, kind: str, follows_from: Mapping[str, Any], suffix: str) -> Path:
        """Where the part is, or will be. `follows_from`: JSON, with all that makes it what it is."""
        whole = {"format": FORMAT, "llama": self._version, **follows_from}
        key = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{kind}-{key[:40]}{suffix}"

    def written(self, kind: str, follows_from: Mapping[str, Any], suffix: str, write: Callable[[Path], None]) -> Path:
        """A part that is made here, and quickly: where it is. `write` writes it whole or not at all."""
        path = self.path(kind, follows_from, suffix)
        if not is_here(path):
            write(path)
        return path

    def trim(self, most: int = _MOST) -> None:
        """Forget what was not used for the longest, where there is too much; and what killed processes left behind."""
        found = []
        for path in list(self._folder.glob("*")):  # whole, before anything goes
            unfinished = _UNFINISHED.fullmatch(path.name)
            with contextlib.suppress(OSError):  # another process removed it
                status = path.stat()
                if unfinished is not None:
                    if not is_alive(int(unfinished[1])) or time.time() - status.st_mtime > _ABANDONED_S:
                        path.unlink()
                elif path.is_file():  # and no folder of a task's
                    found.append((status.st_mtime, status.st_size, path))
        kept = 0
        for _, size, path in sorted(found, reverse=True):
            kept += size
            if kept > most:
                with contextlib.suppress(OSError):  # another process has it open, where systems mind that
                    path.unlink(missing_ok=True)


def is_here(path: Path) -> bool:
    """Whether the part is finished. It counts as used now."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True
