"""The ledger of calls: what each one used, and what the hosted model would have cost. SQLite, written by a thread.

Nobody waits for it and no call fails by it. What cannot be written yet is kept in memory, up to a bound.
"""

import asyncio
import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ggufrun.records.database import connect
from ggufrun.records.usual import UsualAnswers

BACKLOG: Final = 20_000  # calls that may wait to be written; more are dropped
BATCH: Final = 500  # calls in one transaction
GATHER_S: Final = 0.2  # how long a first call waits for company before it is written
RETRY_S: Final = 1.0
CLOSE_S: Final = 8.0
TEXT: Final = 64 << 20  # characters of prompts and answers that may wait; further ones are dropped, their calls not
DAY_S: Final = 86_400
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One call. Times in seconds, `time` since the epoch; prompts and answers are not part of it.

    `finish_reason` is the error's type where the call failed, "cancelled" where its client left. `status` is what the
    reply's HTTP status would have been, had the failure come before its headers; 499 where the client left.
    """

    time: float
    request_id: str
    key: str
    endpoint: str
    model: str
    file: str
    quant: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    ttft_s: float | None
    total_s: float
    tokens_per_s: float
    finish_reason: str
    status: int
    usd: float | None
    engine: str = ""  # of those of a route, the one that answered or was asked last
    spent_usd: float = 0.0  # what engines elsewhere have charged, attempts that were thrown away included
    thrown_tokens: int = 0  # of such attempts of a route; they are in no other figure, but count for the key's day

    @property
    def all_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens + self.thrown_tokens


@dataclass(frozen=True, slots=True)
class Text:
    """What was asked and answered in a call, for those who start the server with --log-prompts."""

    prompt: str
    answer: str

    @property
    def size(self) -> int:
        return len(self.prompt) + len(self.answer)


_Line = tuple[Entry, Text | None]
_REFUSED = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.DataError, OverflowError, UnicodeError)
COLUMNS: Final = tuple(field.name for field in fields(Entry))
_INSERT: Final = f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_INSERT_TEXT: Final = "INSERT OR IGNORE INTO texts (request_id, time, prompt, answer) VALUES (?, ?, ?, ?)"
_TODAY: Final = """SELECT coalesce(sum(prompt_tokens + completion_tokens + thrown_tokens), 0) FROM calls
    WHERE key = ? AND time >= ? AND request_id NOT IN (SELECT value FROM json_each(?))"""
_RECENT: Final = """SELECT key, completion_tokens FROM calls
    WHERE id > (SELECT max(id) FROM calls) - ? AND status = 200 AND completion_tokens > 0 ORDER BY id"""


class Ledger:
    """Of one server process. Several processes may share the file, and readers never wait for writers."""

    def __init__(self, path: Path) -> None:
        """Opens the file, made where there is none. Raises OptionError where it cannot be used."""
        self._path = path
        self._writer = connect(path)
        self._reader = connect(path)
        self._reading = threading.Lock()
        self._changed = threading.Condition()  # guards what follows
        self._waiting: deque[_Line] = deque()  # not in the file yet, oldest first
        self._text_size = 0  # characters in it
        self._lost: Counter[tuple[str, int]] = Counter()  # tokens by (key, day) of calls that were never written
        self._dropped = 0
        self._closing = False
        self._complained: set[str] = set()
        self._running: dict[str, tuple[str, float, Callable[[], int]]] = {}  # key, start and tokens by request id
        self._usual = UsualAnswers(self._recent())
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        return self._path

    def begin(self, request_id: str, key: str, tokens: Callable[[], int]) -> None:
        """A call that runs: its tokens so far count for the key's day. For the event loop's thread, as all of this."""
        self._running[request_id] = (key, time.time(), tokens)

    def end(self, request_id: str) -> None:
        """It runs no more, and is recorded or was nothing."""
        self._running.pop(request_id, None)

    def record(self, entry: Entry, text: Text | None = None) -> None:
        """Write it down, soon: never blocks. For one thread, the event loop's."""
        if (warning := self._usual.judge(entry.key, entry.completion_tokens, whole=entry.status == 200)) is not None:
            _log.warning("Request %s to %s: %s", entry.request_id, entry.model, warning)
        with self._changed:
            if len(self._waiting) >= BACKLOG or self._closing:
                self._lose([(entry, None)])
                return
            if text is not None:
                text = text if self._text_size + text.size <= TEXT else None
                self._text_size += text.size if text else 0
            self._waiting.append((entry, text))
            self._changed.notify()

    async def used_today(self, key: str) -> int:
        """All tokens of the key since midnight UTC, by all processes that share the file.

        Of the calls that are not in the file yet, those of this process count too, as do those that run: with what they
        have used so far.
        """
        today = int(time.time()) // DAY_S
        running = {
            id: tokens() for id, (who, began, tokens) in self._running.items() if who == key and began >= today * DAY_S
        }
        with self._changed:
            ours = [entry for entry, _ in self._waiting if entry.key == key and entry.time >= today * DAY_S]
            lost = self._lost[key, today]
        # One that is written meanwhile must not count twice.
        ids = json.dumps([*running, *(entry.request_id for entry in ours)])
        written = await asyncio.to_thread(self._sum, key, today * DAY_S, ids)
        waiting = sum(entry.all_tokens for entry in ours)
        return written + lost + waiting + sum(running.values())

    def close(self) -> None:
        """Write what waits, for some seconds at most, and close the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)
        with self._reading:
            self._reader.close()
        with self._changed:
            missing = self._dropped + len(self._waiting)
        if missing:
            _log.warning("%d calls are missing in the ledger %s.", missing, self._path)

    def _recent(self) -> list[tuple[str, int]]:
        try:
            return self._reader.execute(_RECENT, (BACKLOG,)).fetchall()
        except sqlite3.Error as error:
            self._complain("read", str(error))
            return []

    def _sum(self, key: str, midnight: int, without: str) -> int:
        try:
            with self._reading:
                return int(self._reader.execute(_TODAY, (key, midnight, without)).fetchone()[0])
        except sqlite3.Error as error:
            self._complain("read", f"{error}; limits of tokens per day count only what waits to be written")
            return 0

    def _run(self) -> None:
        """The writer's thread: gathers, writes, and tries again until the file takes it."""
        try:
            while batch := self._next():
                if self._write(batch):
                    self._forget(len(batch))
                    continue
                with self._changed:
                    if self._closing:
                        break  # it was the last try
                    self._changed.wait_for(lambda: self._closing, RETRY_S)
        finally:
            self._writer.close()

    def _next(self) -> Sequence[_Line]:
        """The oldest calls that wait, once there are any; none when the ledger is closed and all is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(lambda: len(self._waiting) >= BATCH or self._closing, GATHER_S)
            return list(islice(self._waiting, BATCH))

    def _write(self, batch: Sequence[_Line]) -> bool:
        """Whether there is no more to do about it."""
        try:
            self._insert(batch)
        except _REFUSED as error:  # trying again would not help
            self._rollback()
            _log.warning("%d calls could not be written to the ledger %s (%s).", len(batch), self._path, error)
            with self._changed:
                self._lose(batch)
        except sqlite3.Error as error:
            self._rollback()
            self._complain("written", f"{error}; calls wait in memory meanwhile")
            return False
        self._complained.clear()
        return True

    def _insert(self, batch: Sequence[_Line]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        self._writer.executemany(_INSERT, [_clean(astuple(entry)) for entry, _ in batch])
        texts = [(entry.request_id, entry.time, text.prompt, text.answer) for entry, text in batch if text]
        self._writer.executemany(_INSERT_TEXT, map(_clean, texts))
        self._writer.execute("COMMIT")

    def _rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # some failures have done it already
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _forget(self, count: int) -> None:
        """The oldest `count` calls that waited are done with."""
        with self._changed:
            for _ in range(count):
                _, text = self._waiting.popleft()
                self._text_size -= text.size if text else 0

    def _lose(self, lines: Sequence[_Line]) -> None:
        """Their tokens still count; `_changed` is held."""
        self._dropped += len(lines)
        for entry, _ in lines:
            self._lost[entry.key, int(entry.time) // DAY_S] += entry.all_tokens

    def _complain(self, what: str, reason: str) -> None:
        """Once for each time that it fails, not for each try."""
        if what not in self._complained:
            self._complained.add(what)
            _log.warning("The ledger %s cannot be %s now: %s.", self._path, what, reason)


def _clean(row: tuple[Any, ...]) -> list[Any]:
    """Half characters, which JSON and file names may hold, are no text to SQLite."""
    return [value.encode("utf-8", "replace").decode() if isinstance(value, str) else value for value in row]
