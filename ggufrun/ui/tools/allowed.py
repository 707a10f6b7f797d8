"""Which MCP tools run without being asked for, in which chat of a browser's tab. Only a user's click puts one in.

It lives as long as the tab: no preset, export or other tab has it, and no chat of another.
"""

from hashlib import sha256
from json import dumps
from typing import Any


class Allowed:
    """For the event loop's thread. One object for all events of a tab."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, str], str] = {}  # by chat and tool
        self._taken: set[tuple[str, str]] = set()  # chats and their answers

    def allow(self, chat: str, name: str, mark: str) -> None:
        """`mark`: of the tool's definition that is meant."""
        if chat:
            self._marks[chat, name] = mark

    def revoke(self, chat: str, name: str) -> None:
        self._marks.pop((chat, name), None)

    def mark(self, chat: str, name: str) -> str:
        """ "": the user is to be asked."""
        return self._marks.get((chat, name), "")

    def takes(self, chat: str, message: str) -> bool:
        """Once for each answer: its calls do not run by themselves a second time, whatever comes twice."""
        is_new = (chat, message) not in self._taken
        self._taken.add((chat, message))
        return is_new

    def of(self, chat: str) -> list[str]:
        return sorted(name for there, name in self._marks if there == chat)


def mark_of(*parts: Any) -> str:
    """The same for the same server and definition, and for no other."""
    return sha256(dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
