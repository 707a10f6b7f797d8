"""Answers of a route beside those of its shadow, in a SQLite file of their own: the oldest go. See `routing.shadow`

Texts stay on this machine. What the pairs add up to is `shadow_report`'s.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from ggufrun.errors import ChatNotFound, OptionError
from ggufrun.records.database import Schema, busy_is_told, connect

SHADOWS_FILE: Final = "shadows.db"  # in the data folder
MOST_PAIRS: Final = 10_000
MOST_BYTES: Final = 64 << 20  # of all texts together
LONGEST: Final = 200_000  # characters of one text that are kept
GLIMPSE: Final = 300  # characters of a text in a list

# Equal texts, blanks aside; equal JSON; equal tool calls; neither; or the shadow had no whole answer.
Agreement = Literal["text", "json", "tools", "different", "failed"]

_SIDE: Final = """{0}_engine TEXT NOT NULL, {0}_finish_reason TEXT NOT NULL, {0}_ttft_s REAL, {0}_total_s REAL NOT NULL,
    {0}_prompt_tokens INTEGER NOT NULL, {0}_completion_tokens INTEGER NOT NULL, {0}_spent_usd REAL NOT NULL"""
_TEXTS: Final = "{0}_error TEXT NOT NULL, {0}_text TEXT NOT NULL, {0}_tool_calls TEXT NOT NULL"

SHADOWS: Final = Schema(
    "shadow answers",
    (
        # The long columns stand last: sums are made of the others. `size`: characters in them.
        f"""CREATE TABLE pairs (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, route TEXT NOT NULL, digest TEXT NOT NULL,
            temperature REAL NOT NULL, agreement TEXT NOT NULL, similarity REAL NOT NULL, size INTEGER NOT NULL,
            {_SIDE.format("real")}, {_SIDE.format("shadow")},
            question TEXT NOT NULL, {_TEXTS.format("real")}, {_TEXTS.format("shadow")}
        ) STRICT""",
        "CREATE INDEX pairs_by_size ON pairs (id, size)",
    ),
)


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """What one engine answered. Times in seconds; `tool_calls` are names and arguments, these as JSON.

    `finish_reason` is the error's type where the answer failed, and `error` its sentence.
    """

    engine: str
    finish_reason: str
    ttft_s: float | None
    total_s: float
    prompt_tokens: int
    completion_tokens: int
    spent_usd: float
    error: str = ""
    text: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ShadowPair:
    """One request and both answers. `digest`: of all that was asked; `similarity`: from 0 to 1.

    `temperature` is the real answer's: above 0, even one engine would answer differently each time.
    """

    time: float  # since the epoch
    route: str
    digest: str
    temperature: float
    agreement: Agreement
    similarity: float
    question: str
    real: ShadowAnswer
    shadow: ShadowAnswer
    id: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which pairs are meant; None: all."""

    route: str | None = None
    real: str | None = None
    shadow: str | None = None
    since: float | None = None  # seconds since the epoch
    before: int | None = None  # only smaller ids
    differing: bool | None = None  # those whose answers differ, or those that agree

    def where(self) -> tuple[str, list[Any]]:
        given = (
            ("route = ?", self.route),
            ("real_engine = ?", self.real),
            ("shadow_engine = ?", self.shadow),
            ("time >= ?", self.since),
            ("id < ?", self.before),
        )
        parts = [condition for condition, value in given if value is not None]
        if self.differing is not None:
            parts.append("agreement = 'different'" if self.differing else "agreement IN ('text', 'json', 'tools')")
        return " AND ".join(parts) or "1", [value for _, value in given if value is not None]


_OWN: Final = ("time", "route", "digest", "temperature", "agreement", "similarity", "question")
_ANSWER: Final = tuple(each.name for each in fields(ShadowAnswer))
_LONG: Final = ("question", *(f"{side}_{name}" for side in ("real", "shadow") for name in ("text", "tool_calls")))
_COLUMNS: Final = (*_OWN, *(f"{side}_{name}" for side in ("real", "shadow") for name in _ANSWER))
_INSERT: Final = (
    f"INSERT INTO pairs (size, {', '.join(_COLUMNS)}) VALUES (?, {', '.join('?' * len(_COLUMNS))}) RETURNING id"
)
_TOO_MUCH: Final = """DELETE FROM pairs WHERE id <= (SELECT max(id) FROM (
    SELECT id, sum(size) OVER rows AS size, count(*) OVER rows AS number FROM pairs
    WINDOW rows AS (ORDER BY id DESC)) WHERE size > ? OR number > ?)"""


class ShadowStore:
    """Blocks: for threads, not for the event loop. Several processes may use the file; it is made at the first pair."""

    def __init__(self, path: Path, most_pairs: int = MOST_PAIRS, most_bytes: int = MOST_BYTES) -> None:
        self.path = path
        self._most = most_bytes, most_pairs
        self._writer: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def add(self, pair: ShadowPair) -> int:
        """Its id. Raises OptionError or StoreBusy where it cannot be written."""
        own = [getattr(pair, name) for name in _OWN]
        row = [*map(_kept, own), *_row(pair.real), *_row(pair.shadow)]
        size = sum(len(str(value).encode()) for name, value in zip(_COLUMNS, row, strict=True) if name in _LONG)
        with self._lock, self._told():
            database = self._opened()
            with database:  # one transaction, taken back where it fails
                database.execute("BEGIN IMMEDIATE")
                id = int(database.execute(_INSERT, [size, *row]).fetchone()[0])
                database.execute(_TOO_MUCH, self._most)
        return id

    def listed(self, chosen: Chosen, limit: int, *, whole: bool = False) -> Sequence[ShadowPair]:
        """The newest first; long texts are cut unless they are wanted `whole`."""
        where, values = chosen.where()
        columns = _COLUMNS if whole else [_glimpse(name) for name in _COLUMNS]
        query = f"SELECT id, {', '.join(columns)} FROM pairs WHERE {where} ORDER BY id DESC LIMIT ?"
        return [_pair(row) for row in self.rows(query, [*values, limit])]

    def pair(self, id: int) -> ShadowPair:
        """Raises ChatNotFound."""
        found = self.rows(f"SELECT id, {', '.join(_COLUMNS)} FROM pairs WHERE id = ?", [id])
        if not found:
            raise ChatNotFound("pair of answers", str(id), "GET /ggufrun/v1/shadow/pairs lists them.")
        return _pair(found[0])

    def clear(self, route: str | None = None) -> int:
        """Forget all of them, or those of one route: how many there were. Nothing of them stays in the file."""
        if not self.path.exists():
            return 0
        where, values = Chosen(route=route).where()
        with self._lock, self._told():
            database = self._opened()
            number = database.execute(f"DELETE FROM pairs WHERE {where}", values).rowcount
            with suppress(
                sqlite3.OperationalError
            ):  # another process reads; what is deleted is overwritten all the same
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return number

    def rows(self, query: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        """Of a query over `pairs`; none where there is no file. Raises OptionError and StoreBusy."""
        if not self.path.exists():
            return ()
        with self._told(), closing(connect(self.path, schema=SHADOWS)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]

    def close(self) -> None:
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _opened(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = connect(self.path, schema=SHADOWS)
            self._writer.execute("PRAGMA secure_delete = ON")
        return self._writer

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says becomes OptionError or StoreBusy."""
        try:
            with busy_is_told(SHADOWS.holds):
                yield
        except sqlite3.Error as error:
            message = f"{self.path}: the shadow answers cannot be read or written ({error})."
            raise OptionError(message, "Move the file away: a new one is made.") from error


def _row(answer: ShadowAnswer) -> list[Any]:
    *plain, calls = astuple(answer)
    return [*map(_kept, plain), json.dumps([[*map(_kept, call)] for call in calls], ensure_ascii=False)]


def _kept(value: Any) -> Any:
    """A text not too long, and without half characters, which are no text to SQLite."""
    if not isinstance(value, str):
        return value
    short = value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    return short.encode("utf-8", "replace").decode()


def _glimpse(column: str) -> str:
    if column.endswith("_tool_calls"):
        return f"'[]' AS {column}"
    return f"substr({column}, 1, {GLIMPSE}) AS {column}" if column in _LONG else column


def _pair(row: Mapping[str, Any]) -> ShadowPair:
    own = {name: row[name] for name in ("id", *_OWN)}
    return ShadowPair(**own, real=_answer(row, "real"), shadow=_answer(row, "shadow"))


def _answer(row: Mapping[str, Any], side: str) -> ShadowAnswer:
    values = {name: row[f"{side}_{name}"] for name in _ANSWER}
    calls = tuple((name, arguments) for name, arguments in json.loads(values["tool_calls"]))
    return ShadowAnswer(**{**values, "tool_calls": calls})
