"""Opening SQLite files so that several processes may use them at once; the schema of the one of keys and calls."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.errors import OptionError, StoreBusy

FILE_NAME: Final = "ggufrun.db"  # in the data folder
BUSY_S: Final = 5.0  # how long a writer waits for another one

# One statement each, only ever added at the end: `PRAGMA user_version` counts those that a file has had.
MIGRATIONS: Final = (
    """CREATE TABLE keys (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, tokens_per_day INTEGER,
        models TEXT NOT NULL, created REAL NOT NULL, revoked REAL
    ) STRICT""",
    """CREATE TABLE calls (
        id INTEGER PRIMARY KEY, time REAL NOT NULL, request_id TEXT NOT NULL, key TEXT NOT NULL, endpoint TEXT NOT NULL,
        model TEXT NOT NULL, file TEXT NOT NULL, quant TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, ttft_s REAL, total_s REAL NOT NULL,
        tokens_per_s REAL NOT NULL, finish_reason TEXT NOT NULL, status INTEGER NOT NULL, usd REAL
    ) STRICT""",
    "CREATE INDEX calls_by_time ON calls (time)",
    # With all that the sum of a key's day needs: it is asked for at each call of a key with a limit.
    "CREATE INDEX calls_by_key ON calls (key, time, request_id, prompt_tokens, completion_tokens)",
    # Filled only with --log-prompts.
    """CREATE TABLE texts (
        request_id TEXT PRIMARY KEY, time REAL NOT NULL, prompt TEXT NOT NULL, answer TEXT NOT NULL
    ) STRICT""",
    # Of those of a route, the one that answered; and what engines elsewhere have charged.
    "ALTER TABLE calls ADD COLUMN engine TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE calls ADD COLUMN spent_usd REAL NOT NULL DEFAULT 0",
    # Of a route's attempts that nobody has seen: they are in no other figure, but count for the key's day.
    "ALTER TABLE calls ADD COLUMN thrown_tokens INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX calls_by_key",
    "CREATE INDEX calls_by_key ON calls (key, time, request_id, prompt_tokens, completion_tokens, thrown_tokens)",
)


@dataclass(frozen=True, slots=True)
class Schema:
    """What is kept in a file, in words, and the statements that make it: each only ever added at the end."""

    holds: str
    migrations: Sequence[str]


KEYS_AND_CALLS: Final = Schema("keys and calls", MIGRATIONS)


def connect(path: Path, busy_s: float = BUSY_S, schema: Schema = KEYS_AND_CALLS) -> sqlite3.Connection:
    """The database at `path`, made where there is none, with today's schema; autocommit, so `BEGIN` is yours to say.

    A connection may go from thread to thread, one at a time. Raises OptionError where the file cannot be used, and
    StoreBusy where another process does not let go of it.
    """
    try:
        with busy_is_told(schema.holds):
            return _opened(path, busy_s, schema.migrations)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Make it readable and writable for you, or set GGUFRUN_HOME to a folder that is."
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):  # damaged
            hint = f"Move it away: a new one is made. Its {schema.holds} are lost then."
        raise OptionError(f"{path}: the database of {schema.holds} cannot be opened ({reason}).", hint) from error


@contextlib.contextmanager
def busy_is_told(holds: str = KEYS_AND_CALLS.holds) -> Iterator[None]:
    """SQLite's word that another process holds the file becomes StoreBusy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreBusy(holds) from error
        raise


def _opened(path: Path, busy_s: float, migrations: Sequence[str]) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    _create(path)
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        _switch_to_wal(connection)
        _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """Make an empty file that only its owner may read: SQLite gives its -wal and -shm the same rights.

    One that is there is not opened: closing it again would drop the locks that this process's other connections have
    on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_),
    and what they write then goes into a -wal that another process has already removed.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Readers then never wait for a writer. SQLite's busy timeout does not cover this switch, so it is tried again."""
    for attempt in range(50):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            if attempt == 49:
                raise
            time.sleep(0.05)
    connection.execute("PRAGMA synchronous = NORMAL")  # WAL stays whole; a power cut may lose the last calls


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    if _version(connection) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # another process may have been here meanwhile
        if version > len(migrations):
            raise OptionError(f"{path} was written by a newer ggufrun.", "Update ggufrun, or move the file away.")
        for statement in migrations[version:]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
