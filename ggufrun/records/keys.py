"""API keys: who may call, and how much. Hashed at rest; the secret is shown once, when a key is made."""

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ggufrun.errors import KeyExists, OptionError, UnknownKey
from ggufrun.records.database import busy_is_told, connect

Scope = Literal["chat", "admin"]
READ_S: Final = 0.1  # how long a reader waits where SQLite makes it wait: the event loop does, too

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_PREFIX: Final = "gr-"
_COLUMNS: Final = "name, digest, scope, tokens_per_day, models, created, revoked"


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret."""

    name: str
    scope: Scope = "chat"
    tokens_per_day: int | None = None  # None: no limit
    models: tuple[str, ...] = ()  # names of models; (): all
    created: float = 0.0  # seconds since the epoch

    def may_use(self, names: Iterable[str]) -> bool:
        """Whether it is good for a model that has these names."""
        return not self.models or not {name.lower() for name in names}.isdisjoint(name.lower() for name in self.models)


class KeyStore:
    """The keys of this machine's user, in the database at `path`; any process may change them at any time.

    A revoked key leaves its row behind, so that a server does not open to everybody with the last one. `any`, `find`
    and `listed` take microseconds and wait for no writer, the others may wait for another process: they are for a
    thread. All may raise StoreBusy.
    """

    def __init__(self, path: Path) -> None:
        self._reader, self._writer = connect(path, READ_S), connect(path)
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._known: tuple[tuple[str, Key], ...] = ()  # by digest; without the revoked ones
        self._any = False
        self._version = -1
        self._refresh()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def any(self) -> bool:
        """Whether a key was ever made, and so is needed; `clear` forgets it."""
        self._refresh()
        return self._any

    def find(self, secret: str) -> Key | None:
        """The key with this secret. Takes as long for one that is nearly right as for any other."""
        self._refresh()
        digest, found = _digest(secret), None
        for known, key in self._known:
            if hmac.compare_digest(known, digest):
                found = key
        return found

    def listed(self) -> Sequence[Key]:
        """Those that are good, oldest first."""
        self._refresh()
        return [key for _, key in self._known]

    def add(
        self,
        name: str,
        scope: Scope = "chat",
        tokens_per_day: int | None = None,
        models: Sequence[str] = (),
    ) -> str:
        """Make a key and return its secret, which is kept nowhere. Raises OptionError, KeyExists for a second one."""
        _check(name, scope, tokens_per_day)
        secret = _PREFIX + secrets.token_urlsafe(32)
        row = (name, _digest(secret), scope, tokens_per_day, json.dumps(list(models)), time.time())
        try:
            with self._change() as database:
                database.execute("DELETE FROM keys WHERE name = ? AND revoked IS NOT NULL", (name,))
                database.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        except sqlite3.IntegrityError as error:
            raise KeyExists(name) from error
        return secret

    def revoke(self, name: str) -> Key:
        """Make a key useless, now and for good. Raises UnknownKey."""
        with self._change() as database:
            good = "name = ? AND revoked IS NULL"
            row = database.execute(f"SELECT {_COLUMNS} FROM keys WHERE {good}", (name,)).fetchone()
            database.execute(f"UPDATE keys SET revoked = ? WHERE {good}", (time.time(), name))
        if row is None:
            raise UnknownKey(name, [key.name for key in self.listed()])
        return _key(row)

    def clear(self) -> int:
        """Forget all keys: on loopback anybody is let in again. How many of them were good."""
        with self._change() as database:
            (good,) = database.execute("SELECT count(*) FROM keys WHERE revoked IS NULL").fetchone()
            database.execute("DELETE FROM keys")
        return int(good)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on a connection of its own: who only asks for a key must not wait for it."""
        with self._writing, busy_is_told():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise

    def _refresh(self) -> None:
        """Read again what another connection has changed: SQLite counts that, and the count costs microseconds."""
        with self._reading, busy_is_told():
            version = int(self._reader.execute("PRAGMA data_version").fetchone()[0])
            if version != self._version:
                rows = self._reader.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created").fetchall()
                self._any = bool(rows)
                self._known = tuple((row[1], _key(row)) for row in rows if row[-1] is None)
                self._version = version


def _key(row: Sequence[Any]) -> Key:
    name, _, scope, tokens_per_day, models, created, _ = row
    return Key(name, scope, tokens_per_day, tuple(json.loads(models)), created)


def _digest(secret: str) -> str:
    """One round of SHA-256: a secret of 256 random bits cannot be guessed, so nothing is gained by a slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _check(name: str, scope: str, tokens_per_day: int | None) -> None:
    if not _NAME.fullmatch(name):
        hint = "Use up to 64 letters, digits and . _ @ -, a letter or digit first."
        raise OptionError(f"A key cannot be called {name!r}.", hint)
    if scope not in ("chat", "admin"):
        raise OptionError(f"A key's scope cannot be {scope!r}.", "Use chat or admin.")
    if tokens_per_day is not None and not 1 <= tokens_per_day < 2**63:
        raise OptionError(f"A key's tokens_per_day cannot be {tokens_per_day}.", "Use 1 or more, or leave it out.")
