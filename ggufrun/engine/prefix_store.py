"""The disk cache of long prefixes: saved sequence states in a bounded folder, found by their tokens after a restart.

Nothing is ever fatal here: a damaged file is removed with a warning, a folder that cannot be written stops the saving.
The file format is in `prefix_file`; when to save and what to restore is the engine's decision.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ggufrun.engine.prefix_file import (
    SUFFIX,
    TEMPORARY,
    DamagedFile,
    ForeignFile,
    ReadStopped,
    digest,
    file_size,
    read_state,
    read_tokens,
    write_file,
)

MIN_TOKENS = 256  # shorter prefixes are computed sooner than read
_STALE_S = 3600.0  # a temporary file this old belongs to a process that was killed

TokenArray = npt.NDArray[np.int32]
LoadedPrefix = tuple[list[int], bytes]  # all tokens of a state, and the state
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredPrefix:
    """A stored state whose first `length` tokens are the ones asked for."""

    path: Path
    length: int
    tokens: int  # of the whole state, which is what reading it back needs room for


class PrefixStore:
    """Saved states of one model (`key`) in a folder that other models and processes use too.

    `limit_bytes` bounds the whole folder. `whole`: states cannot be cut back to a shorter prefix (recurrent and
    sliding-window memory), so only a state whose tokens are all asked for is any use.
    """

    def __init__(self, folder: Path, key: str, limit_bytes: int, whole: bool = False) -> None:
        self._folder, self._key, self.limit, self._whole = folder, digest(key.encode()), limit_bytes, whole
        self._entries: dict[Path, TokenArray] = {}
        self._listed = -1  # the folder's mtime when it was last listed, in ns
        self._lock = threading.Lock()  # _entries, between the step loop and the threads that write and read
        self._writing: threading.Thread | None = None
        self._off = False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # states hold what users wrote
            self._sweep()
        except OSError as error:
            self._switch_off(error)
        self._refresh()

    def match(self, tokens: Sequence[int]) -> StoredPrefix | None:
        """The stored state that shares the longest run of leading tokens, at least MIN_TOKENS of them."""
        if len(tokens) < MIN_TOKENS:
            return None
        self._refresh()
        wanted = np.asarray(tokens, dtype=np.int32)
        best: StoredPrefix | None = None
        with self._lock:
            for path, held in self._entries.items():
                length = _shared(wanted, held)
                usable = length == len(held) < len(wanted) if self._whole else True
                if usable and length >= MIN_TOKENS and (best is None or length > best.length):
                    best = StoredPrefix(path, length, len(held))
        return best

    def load(self, stored: StoredPrefix, stopped: Callable[[], bool] = lambda: False) -> LoadedPrefix | None:
        """All tokens of the state and the state itself. None, with a warning, if the file is no longer good.

        May be called from another thread than the rest; `stopped` is asked now and then whether to give up.
        """
        with suppress(OSError):  # in a folder that is read-only, it is good all the same
            os.utime(stored.path)  # used last, and from here on: so that no other state's writing removes it
        try:
            return read_state(stored.path, self._key, stopped)
        except ReadStopped:
            return None
        except FileNotFoundError:
            self._forget(stored.path)  # another process made room
            return None
        except ForeignFile as error:
            log.warning("The saved prefix %s is ignored: %s.", stored.path, error)
            self._forget(stored.path)
            return None
        except DamagedFile as error:
            self._remove_damaged(stored.path, error)
            return None
        except OSError as error:
            log.warning("The saved prefix %s cannot be read: %s.", stored.path, error)
            self._forget(stored.path)
            return None

    def remove(self, stored: StoredPrefix) -> None:
        """Throw a state away that the model refused."""
        log.warning("The saved prefix %s does not fit this model and was removed.", stored.path)
        self._remove(stored.path)

    def wants(self, tokens: Sequence[int]) -> bool:
        """Whether `save` would take a state of these tokens: ask before making one."""
        if self._off or len(tokens) < MIN_TOKENS or self._is_writing():
            return False
        self._refresh()
        return self._covering(np.asarray(tokens, dtype=np.int32)) is None

    def save(self, tokens: Sequence[int], state: bytes) -> bool:
        """Write a state in the background. False if it is not wanted: too short, too large, held already, or busy."""
        if not self.wants(tokens) or file_size(len(tokens), len(state)) > self.limit:
            return False
        array = np.array(tokens, dtype=np.int32)
        self._writing = threading.Thread(target=self._write, args=(array, state), name="prefix-store", daemon=True)
        self._writing.start()
        return True

    def finish_writing(self, patience: float = 10.0) -> bool:
        """Wait for the state being written: whether it is. If the process ends before, it is lost whole."""
        if self._writing is not None:
            self._writing.join(patience)
        return not self._is_writing()

    def _is_writing(self) -> bool:
        return self._writing is not None and self._writing.is_alive()

    def _write(self, tokens: TokenArray, state: bytes) -> None:
        path = self._folder / f"{self._key.hex()[:16]}-{digest(tokens.tobytes()).hex()[:24]}{SUFFIX}"
        try:
            write_file(path, self._key, tokens, state)
            with self._lock:
                self._entries[path] = tokens
            self._drop_covered_by(tokens, path)
            self._evict(spare=path)
        except OSError as error:
            self._switch_off(error)

    def _covering(self, tokens: TokenArray) -> Path | None:
        """The entry that makes a state of `tokens` needless."""
        with self._lock:
            for path, held in self._entries.items():
                if _shared(tokens, held) == len(tokens) and (not self._whole or len(held) == len(tokens)):
                    return path
        return None

    def _drop_covered_by(self, tokens: TokenArray, spare: Path) -> None:
        if self._whole:
            return  # a shorter state serves prompts that the longer one cannot
        with self._lock:
            covered = [p for p, held in self._entries.items() if p != spare and _shared(tokens, held) == len(held)]
        for path in covered:
            self._remove(path)

    def _evict(self, spare: Path) -> None:
        """Remove the least recently used files, of any model, until the folder is within its limit."""
        files: list[tuple[int, int, Path]] = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            files.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.limit:
                return
            if path != spare:
                self._remove(path)
                total -= size

    def _refresh(self) -> None:
        """Take in what other processes wrote or removed, if the folder has changed."""
        try:
            changed = self._folder.stat().st_mtime_ns
            if changed == self._listed:
                return
            names = set(self._folder.glob(f"{self._key.hex()[:16]}-*{SUFFIX}"))
        except OSError:
            return  # the constructor has warned
        self._listed = changed
        with self._lock:
            known = set(self._entries)
        for path in known - names:
            self._forget(path)
        for path in names - known:
            self._read_index(path)

    def _read_index(self, path: Path) -> None:
        try:
            tokens = read_tokens(path, self._key)
        except ForeignFile as error:
            log.warning("The saved prefix %s is ignored: %s.", path, error)
        except DamagedFile as error:
            self._remove_damaged(path, error)
        except FileNotFoundError:
            pass  # another process made room
        except OSError as error:
            log.warning("The saved prefix %s cannot be read: %s.", path, error)
        else:
            with self._lock:
                self._entries[path] = tokens

    def _remove_damaged(self, path: Path, error: DamagedFile) -> None:
        log.warning("The saved prefix %s is damaged (%s) and was removed; its text is computed again.", path, error)
        self._remove(path)

    def _remove(self, path: Path) -> None:
        self._forget(path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("The saved prefix %s cannot be removed: %s.", path, error)

    def _forget(self, path: Path) -> None:
        with self._lock:
            self._entries.pop(path, None)

    def _sweep(self) -> None:
        """Remove what killed processes left half-written."""
        for path in self._folder.glob(f"*{TEMPORARY}"):
            try:
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _switch_off(self, error: OSError) -> None:
        if not self._off:
            log.warning("Prefixes are no longer saved to %s: %s.", self._folder, error.strerror or error)
        self._off = True


def _shared(left: TokenArray, right: TokenArray) -> int:
    """How many leading tokens are equal."""
    count = min(len(left), len(right))
    different = left[:count] != right[:count]
    first = int(different.argmax()) if count else 0
    return first if count and different[first] else count
