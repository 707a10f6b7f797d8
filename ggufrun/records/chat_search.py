"""Search in the text of chats: SQLite's FTS5 where it is there, a look at each text where not. No case, any substring.

`texts` holds what is searched, and FTS5 only an index of it, so a file may go from one SQLite to another.
"""

import sqlite3
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from ggufrun.records.chat_database import ChatDatabase

_INDEX: Final = """CREATE VIRTUAL TABLE IF NOT EXISTS text_index
    USING fts5(text, content = 'texts', content_rowid = 'number', tokenize = 'trigram')"""
_STALE: Final = "SELECT (SELECT count(*) FROM texts) <> (SELECT count(*) FROM text_index_docsize) AS stale"
_SHORTEST: Final = 3  # characters of what the index finds
_MOST: Final = 16  # words of a search; further ones are not looked for


class TextIndex:
    """What changes it takes the transaction's cursor."""

    def __init__(self, database: ChatDatabase) -> None:
        self._indexed = _open(database)

    def put(self, cursor: sqlite3.Cursor, number: int, chat: int, text: str) -> None:
        """The text of this number, instead of an earlier one."""
        self._remove(cursor, "number = ?", number)
        self.add(cursor, chat, [(number, text)])

    def add(self, cursor: sqlite3.Cursor, chat: int, texts: Iterable[tuple[int, str]]) -> None:
        """Numbers that had no text, each with its own."""
        folded = [(number, _folded(text)) for number, text in texts]
        rows = ((number, chat, text) for number, text in folded)
        cursor.executemany("INSERT INTO texts (number, chat, text) VALUES (?, ?, ?)", rows)
        if self._indexed:
            cursor.executemany("INSERT INTO text_index (rowid, text) VALUES (?, ?)", folded)

    def drop(self, cursor: sqlite3.Cursor, chat: int) -> None:
        """All texts of a chat."""
        self._remove(cursor, "chat = ?", chat)

    def condition(self, query: str) -> tuple[str, list[Any]]:
        """SQL that holds for the chats in which each word of `query` is, in a message or the title; and its values."""
        parts, values = ["1"], list[Any]()
        for word in _folded(query).replace("\0", " ").split()[:_MOST]:
            if self._indexed and len(word) >= _SHORTEST:
                found = "number IN (SELECT rowid FROM text_index WHERE text_index MATCH ?)"
                values.append('"' + word.replace('"', '""') + '"')
            else:
                found = "instr(text, ?) > 0"
                values.append(word)
            parts.append(f"chats.number IN (SELECT chat FROM texts WHERE {found})")
        return " AND ".join(parts), values

    def _remove(self, cursor: sqlite3.Cursor, where: str, value: int) -> None:
        if self._indexed:  # it is told what to forget: it has no text of its own
            forget = f"SELECT 'delete', number, text FROM texts WHERE {where}"
            cursor.execute(f"INSERT INTO text_index (text_index, rowid, text) {forget}", (value,))
        cursor.execute(f"DELETE FROM texts WHERE {where}", (value,))


def _open(database: ChatDatabase) -> bool:
    """Whether there is an index. One that another SQLite has left behind is made anew."""
    try:
        with database.change() as cursor:
            cursor.execute(_INDEX)
            if cursor.execute(_STALE).fetchone()["stale"]:
                cursor.execute("INSERT INTO text_index (text_index) VALUES ('rebuild')")
    except sqlite3.OperationalError:
        return False
    return True


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())
