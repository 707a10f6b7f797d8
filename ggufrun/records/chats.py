"""Chats on the server: each owner's own, found by their text. SQLite; messages, runs, presets and votes stand beside.

All of it may wait for another process: it is for threads, not for the event loop. All of it may raise StoreBusy.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ggufrun.errors import ChatNotFound, OutOfRange, cut
from ggufrun.records.chat_database import ChatDatabase, to_json
from ggufrun.records.chat_messages import ChatMessage, Messages
from ggufrun.records.chat_runs import StoredRuns
from ggufrun.records.chat_search import TextIndex
from ggufrun.records.presets import Presets
from ggufrun.records.votes import Votes

_SELECT: Final = "SELECT chats.*, runs.id AS run FROM chats LEFT JOIN runs ON runs.chat = chats.number"


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat without its messages. Times in seconds since the epoch; the model "" means the only one."""

    number: int  # its place in the file, which others of its tables name
    id: str
    owner: str
    title: str
    model: str
    settings: Mapping[str, Any]
    head: str | None  # the message whose branch is shown
    created: float
    updated: float
    run: str | None  # what is being answered now


class ChatStore:
    """The chats of all owners: an owner is a key's name, "" this machine's user where nobody needs one."""

    def __init__(self, path: Path) -> None:
        """Raises OptionError where the file cannot be used. Runs that nobody goes on with are stopped."""
        self._database = ChatDatabase(path)
        self._texts = TextIndex(self._database)
        self.messages = Messages(self._database, self._texts)
        self.runs = StoredRuns(self._database, self.messages)
        self.presets = Presets(self._database)
        self.votes = Votes(self._database)
        self.runs.sweep()

    def hurry(self) -> None:
        """The server ends: nobody waits long for another process any more."""
        self._database.hurry()

    def close(self) -> None:
        self._database.close()

    def create(
        self,
        owner: str,
        title: str = "",
        model: str = "",
        settings: Mapping[str, Any] | None = None,
        messages: Sequence[ChatMessage] = (),
        head: str | None = None,
    ) -> Chat:
        """With `messages`, of which `head` is shown: all of it or none."""
        id, now = uuid.uuid4().hex, time.time()
        row = (id, owner, title, model, to_json(settings or {}), now, now)
        with self._database.change() as cursor:
            cursor.execute(
                "INSERT INTO chats (id, owner, title, model, settings, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            number = int(cursor.lastrowid or 0)
            self._texts.put(cursor, -number, number, title)
            if messages:
                self.messages.insert(cursor, number, messages)
                self.messages.show(cursor, number, head or messages[-1].id)
        return self.get(owner, id)

    def get(self, owner: str, id: str) -> Chat:
        """Raises ChatNotFound, also for another owner's."""
        found = self._database.rows(f"{_SELECT} WHERE chats.id = ? AND owner = ?", id, owner)
        if not found:
            raise ChatNotFound("chat", id)
        return _chat(found[0])

    def listed(self, owner: str, query: str = "", limit: int = 50, before: str = "") -> tuple[Sequence[Chat], str]:
        """Those with all words of `query`, the newest first, and where to go on (`before`); "" at the end.

        Raises OutOfRange for a `before` that nobody was given.
        """
        condition, values = self._texts.condition(query)
        if before:
            condition += " AND (updated, chats.number) < (?, ?)"
            values += _place(before)
        order = "ORDER BY updated DESC, chats.number DESC LIMIT ?"
        rows = self._database.rows(f"{_SELECT} WHERE owner = ? AND {condition} {order}", owner, *values, limit + 1)
        found = [_chat(row) for row in rows[:limit]]
        return found, f"{found[-1].updated!r}_{found[-1].number}" if len(rows) > limit else ""

    def change(self, owner: str, id: str, changes: Mapping[str, Any]) -> Chat:
        """Set `title`, `model`, `settings` or `head`. Raises ChatNotFound, and OutOfRange for a head of another chat.

        Settings may be made from those that are stored: a function of them, so that no other change comes in between.
        To show another branch is no news: only the others put the chat first.
        """
        chat = self.get(owner, id)
        if "head" in changes:
            self.messages.get(chat.number, changes["head"], "head")
        row = dict(changes)
        if row.keys() - {"head"}:
            row["updated"] = time.time()
        if row:
            with self._database.change() as cursor:
                if "settings" in row:
                    row["settings"] = to_json(_settings(cursor, chat, row["settings"]))
                sets = ", ".join(f"{name} = ?" for name in row)
                cursor.execute(f"UPDATE chats SET {sets} WHERE number = ?", (*row.values(), chat.number))
                if "title" in row and cursor.rowcount:
                    self._texts.put(cursor, -chat.number, chat.number, row["title"])
        return self.get(owner, id)

    def delete(self, owner: str, id: str) -> None:
        """With all that belongs to it. Raises ChatNotFound."""
        chat = self.get(owner, id)
        with self._database.change() as cursor:
            self._texts.drop(cursor, chat.number)
            for table in ("messages", "runs"):
                cursor.execute(f"DELETE FROM {table} WHERE chat = ?", (chat.number,))
            cursor.execute("DELETE FROM chats WHERE number = ?", (chat.number,))


def _settings(cursor: sqlite3.Cursor, chat: Chat, given: Any) -> Any:
    if not callable(given):
        return given
    found = cursor.execute("SELECT settings FROM chats WHERE number = ?", (chat.number,)).fetchone()
    return given(json.loads(found["settings"]) if found else chat.settings)


def _chat(row: sqlite3.Row) -> Chat:
    return Chat(**{**dict(row), "settings": json.loads(row["settings"])})


def _place(before: str) -> tuple[float, int]:
    updated, _, number = before.partition("_")
    try:
        place = float(updated), int(number)
    except ValueError:
        place = 0.0, -1
    if 0 <= place[0] < 1e12 and 0 <= place[1] < 2**63:
        return place
    raise OutOfRange(f"The cursor {cut(before)!r} is of no list.", "Send the `next` of the page before.", "cursor")
