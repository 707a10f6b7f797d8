"""API keys: who may call, and how much. Hashed at rest; the secret is shown once, when a key is made."""

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ggufrun.errors import OptionError
from ggufrun.records.database import connect

Scope = Literal["chat", "admin"]

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


class KeyStore:
    """The keys of this machine's user, in the database at `path`; any process may change them at any time.

    A revoked key leaves its row behind, so that a server does not open to everybody with the last one.
    """

    def __init__(self, path: Path) -> None:
        self._database = connect(path)
        self._lock = threading.Lock()
        self._known: tuple[tuple[str, Key], ...] = ()  # by digest; without the revoked ones
        self._any = False
        self._version = -1
        with self._lock:
            self._refresh()

    def close(self) -> None:
        self._database.close()

    def any(self) -> bool:
        """Whether a key was ever made, and so is needed; `clear` forgets it."""
        with self._lock:
            self._refresh()
            return self._any

    def find(self, secret: str) -> Key | None:
        """The key with this secret. Takes as long for one that is nearly right as for any other."""
        digest, found = _digest(secret), None
        with self._lock:
            self._refresh()
            for known, key in self._known:
                if hmac.compare_digest(known, digest):
                    found = key
        return found

    def listed(self) -> Sequence[Key]:
        """Those that are good, oldest first."""
        with self._lock:
            self._refresh()
            return [key for _, key in self._known]

    def add(
        self,
        name: str,
        scope: Scope = "chat",
        tokens_per_day: int | None = None,
        models: Sequence[str] = (),
    ) -> str:
        """Make a key and return its secret, which is kept nowhere. Raises OptionError."""
        _check(name, scope, tokens_per_day)
        secret = _PREFIX + secrets.token_urlsafe(32)
        row = (name, _digest(secret), scope, tokens_per_day, json.dumps(list(models)), time.time())
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.execute("DELETE FROM keys WHERE name = ? AND revoked IS NOT NULL", (name,))
                self._database.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
                self._database.execute("COMMIT")
            except BaseException as error:
                self._database.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError):
                    hint = "Choose another name, or revoke it first: ggufrun keys revoke NAME."
                    raise OptionError(f"There is a key called {name!r}.", hint) from error
                raise
            self._read()
        return secret

    def revoke(self, name: str) -> Key:
        """Make a key useless, now and for good. Raises OptionError where there is none of that name."""
        key = next((key for key in self.listed() if key.name == name), None)
        if key is None:
            names = ", ".join(key.name for key in self.listed())
            raise OptionError(
                f"There is no key called {name!r}.", f"There are: {names}." if names else "There is none."
            )
        with self._lock:
            self._database.execute("UPDATE keys SET revoked = ? WHERE name = ?", (time.time(), name))
            self._read()
        return key

    def clear(self) -> int:
        """Forget all keys: on loopback anybody is let in again. How many of them were good."""
        with self._lock:
            self._refresh()
            good = len(self._known)
            self._database.execute("DELETE FROM keys")
            self._read()
        return good

    def _refresh(self) -> None:
        """Read again what another connection has changed: SQLite counts that, and the count costs microseconds."""
        version = int(self._database.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            self._read()
            self._version = version

    def _read(self) -> None:
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created").fetchall()
        self._any = bool(rows)
        self._known = tuple(
            (digest, Key(name, scope, tokens_per_day, tuple(json.loads(models)), created))
            for name, digest, scope, tokens_per_day, models, created, revoked in rows
            if revoked is None
        )


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
        raise OptionError(f"--tokens-per-day cannot be {tokens_per_day}.", "Use 1 or more, or leave it out.")
