"""What of the chats is being answered, as their file knows it: one run a chat, whichever process it is in."""

import sqlite3
import time
from collections.abc import Collection, Sequence
from contextlib import suppress

from ggufrun.errors import ChatBusy, OutOfRange
from ggufrun.records.chat_database import ChatDatabase
from ggufrun.records.chat_messages import ChatMessage, Messages

_STOP = "UPDATE messages SET meta = json_set(meta, '$.state', 'stopped') WHERE id = ?"


class StoredRuns:
    def __init__(self, database: ChatDatabase, messages: Messages) -> None:
        self._database, self._messages = database, messages

    def begin(self, chat: int, run: str, added: Sequence[ChatMessage], answer: ChatMessage, *, new: bool) -> None:
        """Add what is asked, and the answer where it is new, to the chat. Raises ChatBusy, and ChatNotFound."""
        with self._database.change() as cursor:
            found = cursor.execute("SELECT id, process FROM runs WHERE chat = ?", (chat,)).fetchone()
            if found is not None:
                raise ChatBusy(found["id"])
            if new:
                self._messages.insert(cursor, chat, [*added, answer])
            else:
                self._messages.write(cursor, answer, searched=False)
                self._messages.show(cursor, chat, answer.id)
            row = (chat, run, answer.id, self._database.process)
            cursor.execute("INSERT INTO runs (chat, id, message, process) VALUES (?, ?, ?, ?)", row)

    def write(self, answer: ChatMessage) -> bool:
        """The answer as far as it has come. False where it was deleted meanwhile."""
        with self._database.change() as cursor:
            return self._messages.write(cursor, answer, searched=False)

    def end(self, chat: int, run: str, answer: ChatMessage) -> None:
        """The whole answer. What the chat shows may be another branch by now, and stays so."""
        with self._database.change() as cursor:
            self._messages.write(cursor, answer, searched=True)
            cursor.execute("UPDATE chats SET updated = ? WHERE number = ?", (time.time(), chat))
            cursor.execute("DELETE FROM runs WHERE chat = ? AND id = ?", (chat, run))

    def sweep(self, own: Collection[str] = ()) -> None:
        """Stop those that nobody goes on with: of processes that have ended, and of this store all but `own`."""
        rows = self._database.rows("SELECT * FROM runs")
        left = [row for row in rows if self._is_left(row, own)]
        if not left:
            return
        with self._database.change() as cursor:
            for row in left:
                cursor.execute("DELETE FROM runs WHERE chat = ? AND id = ?", (row["chat"], row["id"]))
                if cursor.rowcount:
                    cursor.execute(_STOP, (row["message"],))
        for row in left:
            self._search(row)

    def _is_left(self, row: sqlite3.Row, own: Collection[str]) -> bool:
        if row["process"] == self._database.process:
            return row["id"] not in own
        return not self._database.alive(row["process"])

    def _search(self, row: sqlite3.Row) -> None:
        """Its text is found from now on, as that of an answer that has ended is."""
        with suppress(OutOfRange):  # deleted meanwhile
            message = self._messages.get(row["chat"], row["message"])
            with self._database.change() as cursor:
                self._messages.write(cursor, message, searched=True)
