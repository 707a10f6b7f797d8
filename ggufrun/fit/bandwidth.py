"""How fast memory can be read: a GPU's from a table of data sheets, RAM's by reading some, once a day."""

import json
import os
import platform
import re
import time
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

_TABLE: Final = Path(__file__).with_name("bandwidths.toml")
_BYTES: Final = 256 << 20  # read in each round; more than most caches hold
_ROUNDS: Final = 3  # at least
_MEASURED_S: Final = 0.25
_TRUSTED_S: Final = 86_400  # then it is measured again: the first time, others may have used the memory, too
_GIB: Final = 1 << 30

_Measured = tuple[float, float]  # bytes a second, and when (seconds of the epoch)

GUESSED_RAM: Final = 60e9  # bytes a second: two channels of a desktop's DDR5, about


def gpu_bandwidth(description: str, total: int) -> float:
    """Bytes a second, by the card's name; of an unknown one a guess by its size."""
    names, guesses = _table()
    said = description.lower()
    found = [name for name in names if re.search(rf"\b{re.escape(name)}(?!\w)", said)]
    if found:
        return names[max(found, key=len)]
    return guesses[min(guesses, key=lambda size: abs(size * _GIB - total))]


@cache
def _table() -> tuple[dict[str, float], dict[int, float]]:
    tables = tomllib.loads(_TABLE.read_text("utf-8"))
    guesses = {int(size): speed * 1e9 for size, speed in tables.pop("guess").items()}
    return {name.lower(): speed * 1e9 for table in tables.values() for name, speed in table.items()}, guesses


def ram_bandwidth(folder: Path) -> float:
    """Bytes a second with all cores reading. Measured once a day; the best is kept in `folder` for this processor.

    What was measured while others computed is not kept: it would be too little.
    """
    import psutil  # here: whoever only wants the guesses needs none of it

    path, key, now = folder / "bandwidth.json", _processor(), time.time()
    known = _kept(path)
    best, measured_at = known.get(key, (0.0, 0.0))
    busy = psutil.getloadavg()[0] > _cores() / 2
    if best and (busy or 0 <= now - measured_at < _TRUSTED_S):
        return best
    best = max(best, measured_ram())
    if not busy:
        _keep(path, {**known, key: (best, now)})
    return best


def measured_ram() -> float:
    """Under half a second on most machines; the best of several rounds, since others use the memory, too."""
    threads = _cores()
    array = np.ones(_BYTES // 8, dtype=np.uint64)
    parts = np.array_split(array, threads)
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        began, rounds = time.perf_counter(), 0
        while rounds < _ROUNDS or time.perf_counter() - began < _MEASURED_S:
            rounds += 1
            start = time.perf_counter()
            list(pool.map(np.add.reduce, parts))
            best = min(best, time.perf_counter() - start)
    return array.nbytes / best


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {_cores()} cores"


def _kept(path: Path) -> dict[str, _Measured]:
    try:
        loaded = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(loaded, dict):
        return {}
    return {str(key): pair for key, value in loaded.items() if (pair := _pair(value)) is not None}


def _pair(value: object) -> _Measured | None:
    """Of what a file has, which may be anything: None for what is no positive speed and a time."""
    numbers = [float(each) for each in value if isinstance(each, int | float)] if isinstance(value, list) else []
    return (numbers[0], numbers[1]) if len(numbers) == 2 and numbers[0] > 0 else None


def _keep(path: Path, known: Mapping[str, _Measured]) -> None:
    """A cache that cannot be written is measured again the next time."""
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(known, indent=2), "utf-8")
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
