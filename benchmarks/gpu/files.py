"""The models' files while a run needs them: written one after another beside the measuring, in memory where it fits."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.gpu.notes import note

ROOM: Final = 48 << 30  # bytes that a folder should have


def roomy_folder(room: int = ROOM) -> Path:
    """/dev/shm where it has room, since a disk may be slow; else the folder for temporary files."""
    for folder in (Path("/dev/shm"), Path(tempfile.gettempdir())):
        if folder.is_dir() and (status := os.statvfs(folder)).f_bavail * status.f_frsize >= room:
            return folder
    return Path(tempfile.gettempdir())


class Files:
    """Begins with the first file at once. Leaving the block ends the writing and deletes all of them."""

    def __init__(self, kinds: Sequence[str], out: Path, folder: Path) -> None:
        self._kinds, self._out = kinds, out
        self._folder = tempfile.TemporaryDirectory(prefix="ggufrun-gpu-", dir=folder)
        self._there = {kind: threading.Event() for kind in kinds}
        self._child: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._write, name="files", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        if self._child is not None:
            self._child.kill()
        self._thread.join(30)
        self._folder.cleanup()

    def path(self, kind: str, patience_s: float) -> Path | None:
        """Once it is written; None where that takes too long, or failed."""
        path = self._path(kind)
        return path if self._there[kind].wait(patience_s) and path.is_file() else None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is written within the block: what is timed there has the memory for itself."""
        child = self._child
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if child is not None and child.poll() is None:
                child.send_signal(signal.SIGCONT)

    def forget(self, kind: str) -> None:
        self._path(kind).unlink(missing_ok=True)

    def _path(self, kind: str) -> Path:
        return Path(self._folder.name) / f"{kind}.gguf"

    def _write(self) -> None:
        for kind in self._kinds:
            if self._ended:
                return
            path = self._path(kind)
            part, start = path.with_suffix(".part"), time.perf_counter()
            self._child = subprocess.Popen([sys.executable, "-m", "benchmarks.gpu.weights", kind, str(part)])
            if self._child.wait() == 0:
                part.replace(path)
                size, took = path.stat().st_size, time.perf_counter() - start
                note(self._out, "written", kind=kind, size=size, seconds=took, where=str(path.parent.parent))
            self._there[kind].set()
