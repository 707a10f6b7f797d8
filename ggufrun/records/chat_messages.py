"""The messages of chats: a tree for each chat, whose branches are what was edited, or answered more than once."""

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from ggufrun.errors import ChatNotFound, OutOfRange, cut
from ggufrun.records.chat_database import ChatDatabase, to_json
from ggufrun.records.chat_search import TextIndex

TITLE: Final = 60  # characters of the title that a chat without one takes from its first message
_JSON: Final = ("content", "tool_calls", "meta")
_INSERT: Final = """INSERT INTO messages
    (number, id, chat, parent, role, content, thinking, tool_calls, tool_call_id, name, meta, created)
    VALUES (:number, :id, :chat, :parent, :role, :content, :thinking, :tool_calls, :tool_call_id, :name,
        :meta, :created)"""
_BRANCH: Final = """WITH RECURSIVE branch (number, parent) AS (
        SELECT number, parent FROM messages WHERE chat = ?1 AND id = ?2
        UNION SELECT m.number, m.parent FROM messages m JOIN branch ON m.id = branch.parent WHERE m.chat = ?1
    ) SELECT messages.* FROM messages JOIN branch USING (number) ORDER BY number"""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message. `content` is a text or a list of parts as requests have them.

    `meta` of an answer: `state` (running, done, stopped, failed), `run`, `model`, `finish_reason`, `usage`, `timings`,
    `thinking_ms`, `error`.
    """

    role: str
    content: str | Sequence[Mapping[str, Any]] = ""
    thinking: str = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tool_call_id: str | None = None
    name: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None  # None: it begins the chat
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: float = field(default_factory=time.time)

    @property
    def text(self) -> str:
        """What of it is text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part["text"] for part in self.content if isinstance(part.get("text"), str))


class Messages:
    """What changes them within a transaction takes its cursor."""

    def __init__(self, database: ChatDatabase, texts: TextIndex) -> None:
        self._database, self._texts = database, texts

    def all(self, chat: int) -> Sequence[ChatMessage]:
        """Of the chat of this number, parents before children."""
        return [
            _message(row) for row in self._database.rows("SELECT * FROM messages WHERE chat = ? ORDER BY number", chat)
        ]

    def branch(self, chat: int, leaf: str | None) -> Sequence[ChatMessage]:
        """From the beginning to `leaf`; none where that is None."""
        return [_message(row) for row in self._database.rows(_BRANCH, chat, leaf)]

    def get(self, chat: int, id: str, param: str = "message") -> ChatMessage:
        """Raises OutOfRange of the field `param` where the chat has no such message."""
        found = self._database.rows("SELECT * FROM messages WHERE chat = ? AND id = ?", chat, id)
        if not found:
            message = f"The chat has no message {cut(id)!r}."
            raise OutOfRange(message, "GET the chat for the ids of its messages.", param)
        return _message(found[0])

    def of_run(self, chat: int, run: str) -> ChatMessage:
        """What a run of this id has answered. Raises ChatNotFound."""
        rows = self._database.rows(
            "SELECT * FROM messages WHERE chat = ? AND json_extract(meta, '$.run') = ? LIMIT 1", chat, run
        )
        if not rows:
            raise ChatNotFound("run", run, "GET the chat: its answers name the runs that they came from.")
        return _message(rows[0])

    def has_children(self, chat: int, id: str) -> bool:
        return bool(self._database.rows("SELECT 1 FROM messages WHERE chat = ? AND parent = ? LIMIT 1", chat, id))

    def add(self, chat: int, *messages: ChatMessage) -> None:
        """Add them; the last is the chat's head. Raises ChatNotFound where it is gone."""
        with self._database.change() as cursor:
            self.insert(cursor, chat, messages)

    def insert(self, cursor: sqlite3.Cursor, chat: int, messages: Sequence[ChatMessage]) -> None:
        """`add`, in a transaction."""
        last = cursor.execute("SELECT coalesce(max(number), 0) AS last FROM messages").fetchone()["last"]
        numbered = list(enumerate(messages, last + 1))
        cursor.executemany(_INSERT, ({**_row(message), "number": number, "chat": chat} for number, message in numbered))
        self._texts.add(cursor, chat, ((number, message.text) for number, message in numbered))
        self.show(cursor, chat, messages[-1].id)
        self._title(cursor, chat, messages)

    def write(self, cursor: sqlite3.Cursor, message: ChatMessage, *, searched: bool) -> bool:
        """What a message has become; whether it is still there. Its text is found once it was `searched`."""
        row = (to_json(message.content), message.thinking, to_json(message.tool_calls), to_json(message.meta))
        cursor.execute(
            "UPDATE messages SET content = ?, thinking = ?, tool_calls = ?, meta = ? WHERE id = ?", (*row, message.id)
        )
        there = bool(cursor.rowcount)
        if there and searched:
            found = cursor.execute("SELECT number, chat FROM messages WHERE id = ?", (message.id,)).fetchone()
            self._texts.put(cursor, found["number"], found["chat"], message.text)
        return there

    def show(self, cursor: sqlite3.Cursor, chat: int, head: str) -> None:
        """There is something new: the chat comes first, and shows that. Raises ChatNotFound where it is gone."""
        cursor.execute("UPDATE chats SET head = ?, updated = ? WHERE number = ?", (head, time.time(), chat))
        if not cursor.rowcount:
            raise ChatNotFound("chat of the message", head, "It was deleted meanwhile.")

    def _title(self, cursor: sqlite3.Cursor, chat: int, messages: Sequence[ChatMessage]) -> None:
        """A chat without a title is called as its first question begins."""
        said = next((each.text.split("\n")[0].strip() for each in messages if each.role == "user" and each.text), "")
        title = cut(said, TITLE)
        cursor.execute("UPDATE chats SET title = ? WHERE number = ? AND title = ''", (title, chat))
        if title and cursor.rowcount:
            self._texts.put(cursor, -chat, chat, title)


def _row(message: ChatMessage) -> dict[str, Any]:
    return {name: to_json(value) if name in _JSON else value for name, value in asdict(message).items()}


def _message(row: sqlite3.Row) -> ChatMessage:
    values = {name: json.loads(value) if name in _JSON else value for name, value in dict(row).items()}
    del values["number"], values["chat"]
    return ChatMessage(**values)
