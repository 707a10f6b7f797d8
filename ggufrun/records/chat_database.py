"""The SQLite file of chats: its schema, the connections that threads share, and which processes use it."""

import json
import math
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

from ggufrun.errors import OutOfRange
from ggufrun.records.database import BUSY_S, Schema, busy_is_told, connect

CHATS_FILE: Final = "chats.db"  # in the data folder
_AGAIN_S: Final = 0.02  # until a file that another process writes to is tried again
_HURRY_S: Final = 0.3
_CLOCK_S: Final = 5.0  # two processes may not agree exactly on when a third one has started

CHATS: Final = Schema(
    "chats",
    (
        # A number is never used again: who still has a deleted chat's must not write into another owner's.
        """CREATE TABLE chats (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, title TEXT NOT NULL,
            model TEXT NOT NULL, settings TEXT NOT NULL, head TEXT, created REAL NOT NULL, updated REAL NOT NULL
        ) STRICT""",
        "CREATE INDEX chats_by_owner ON chats (owner, updated, number)",
        # `content`, `tool_calls` and `meta` are JSON. `parent` is the id of a message of the same chat.
        """CREATE TABLE messages (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, chat INTEGER NOT NULL, parent TEXT,
            role TEXT NOT NULL, content TEXT NOT NULL, thinking TEXT NOT NULL, tool_calls TEXT NOT NULL,
            tool_call_id TEXT, name TEXT, meta TEXT NOT NULL, created REAL NOT NULL
        ) STRICT""",
        "CREATE INDEX messages_by_chat ON messages (chat, number)",
        # What is being answered: one a chat. `process` says whose it is.
        """CREATE TABLE runs (
            chat INTEGER PRIMARY KEY, id TEXT NOT NULL, message TEXT NOT NULL, process TEXT NOT NULL
        ) STRICT""",
        # What is searched, case folded: a message's text under its number, a chat's title under minus the chat's.
        "CREATE TABLE texts (number INTEGER PRIMARY KEY, chat INTEGER NOT NULL, text TEXT NOT NULL) STRICT",
        "CREATE INDEX texts_by_chat ON texts (chat)",
        """CREATE TABLE presets (
            owner TEXT NOT NULL, name TEXT NOT NULL, preset TEXT NOT NULL, updated REAL NOT NULL,
            PRIMARY KEY (owner, name)
        ) STRICT""",
        # Of a blind vote: `a` stands before `b` in the alphabet, so that a pair is one whoever was on which side.
        """CREATE TABLE votes (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
            verdict TEXT NOT NULL, prompt TEXT NOT NULL, created REAL NOT NULL
        ) STRICT""",
        "CREATE INDEX votes_by_owner ON votes (owner, a, b)",
    ),
)


class ChatDatabase:
    """A connection to read, which waits for no writer, and one to write. For threads, not for the event loop."""

    def __init__(self, path: Path) -> None:
        """Raises OptionError where the file cannot be used."""
        self._reader, self._writer = connect(path, schema=CHATS), connect(path, schema=CHATS)
        # Deleted rows are overwritten; the index of words (FTS5) may hold pieces of three letters until it is merged.
        self._writer.execute("PRAGMA secure_delete = ON")
        self._writer.execute("PRAGMA busy_timeout = 0")  # `_begin` waits, so that `hurry` can end that
        self._hurried = math.inf  # when nobody waits any longer
        for each in (self._reader, self._writer):
            each.row_factory = sqlite3.Row
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._process = _process()

    @property
    def process(self) -> str:
        """This store of this process, for what `alive` is asked about."""
        return self._process

    def alive(self, process: str) -> bool:
        """Whether a store that gave itself this name may still be open."""
        if process == self._process:
            return True
        pid, started, _ = process.split(" ")
        if int(pid) == os.getpid():
            return False
        with suppress(psutil.Error):
            return abs(psutil.Process(int(pid)).create_time() - float(started)) < _CLOCK_S
        return False

    def rows(self, query: str, *values: Any) -> Sequence[sqlite3.Row]:
        with self._reading, busy_is_told(CHATS.holds):
            return self._reader.execute(query, values).fetchall()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Cursor]:
        """One transaction. Its rows are read by name."""
        with self._writing, busy_is_told(CHATS.holds):
            self._begin()
            try:
                yield self._writer.cursor()
                self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # some failures have done it already
                    self._writer.execute("ROLLBACK")
                raise

    def hurry(self) -> None:
        """The server ends: all that wait for another process, now or later, soon give up together."""
        self._hurried = min(self._hurried, time.monotonic() + _HURRY_S)

    def close(self) -> None:
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()

    def _begin(self) -> None:
        until = time.monotonic() + BUSY_S
        while True:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                over = time.monotonic() >= min(until, self._hurried)
                if over or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            time.sleep(_AGAIN_S)


def to_json(value: object) -> str:
    """Raises OutOfRange for what no JSON can hold, though Python reads it."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise OutOfRange("A number of it is infinite or none at all.", "Send numbers that JSON has.") from error


def _process() -> str:
    pid = os.getpid()
    return f"{pid} {psutil.Process(pid).create_time()} {secrets.token_hex(8)}"
