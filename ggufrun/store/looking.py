"""Looks at folders and files that are others': what has gone meanwhile, or is not ours to read, counts as not there."""

import os
import stat
from pathlib import Path


def entries(folder: Path) -> list[Path]:
    """By name."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def folders_in(folder: Path) -> list[Path]:
    """Those that are not hidden."""
    return [each for each in entries(folder) if not each.name.startswith(".") and os.path.isdir(each)]


def file_status(path: Path) -> os.stat_result | None:
    """Of a regular file, or of the one that a link leads to."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def changed(path: Path) -> float:
    """When it became what it is, in seconds since 1970; 0 where it has gone."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
