"""What of a chat is shown and not sent to the model: `left_out` of its settings, ids of messages and "ID#0" of parts.

A message's id stands for its whole exchange, and so do the parts of a message together: the server's rule
(`api/chats/left_out.py`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with its answer, and what tools said in between. `id`: of its first message."""

    id: str
    messages: tuple[Message, ...]

    def is_left_out(self, left_out: Collection[str]) -> bool:
        return any(each["id"] in left_out or _all_parts(each, left_out) for each in self.messages)

    def ids(self) -> set[str]:
        return {str(each["id"]) for each in self.messages}


def left_out_in(settings: Mapping[str, Any] | None) -> frozenset[str]:
    given = (settings or {}).get("left_out")
    return frozenset(each for each in given if isinstance(each, str)) if isinstance(given, list) else frozenset()


def left_out_ids(branch: Sequence[Message], settings: Mapping[str, Any] | None) -> frozenset[str]:
    """Of the messages in a branch that the model does not read; parts as "ID#0"."""
    left_out = left_out_in(settings)
    return left_out.union(*(each.ids() for each in exchanges(branch) if each.is_left_out(left_out)))


def exchanges(branch: Iterable[Message]) -> list[Exchange]:
    found: list[list[Message]] = []
    for message in branch:
        if message["role"] == "user" or not found:
            found.append([])
        found[-1].append(message)
    return [Exchange(str(each[0]["id"]), tuple(each)) for each in found]


def branch_of(chat: Mapping[str, Any]) -> list[Message]:
    """The messages that a chat shows, from its first to its head."""
    by_id = {message["id"]: message for message in chat.get("messages", ())}
    branch = []
    at = by_id.get(chat.get("head"))
    while at is not None:
        branch.append(at)
        at = by_id.pop(at["id"], None) and by_id.get(at["parent"])
    return branch[::-1]


def changed(chat: Mapping[str, Any], *, out: Iterable[str] = (), back: Collection[str] = ()) -> list[str]:
    """What is left out with `out`, and without `back`. What the chat does not have is forgotten."""
    there = {message["id"] for message in chat.get("messages", ())}
    left_out = left_out_in(chat.get("settings"))
    for exchange in exchanges(branch_of(chat)):
        if exchange.id in back:
            left_out -= exchange.ids()
            if exchange.is_left_out(left_out):  # by its parts
                left_out = frozenset(each for each in left_out if _message(each) not in exchange.ids())
    ids = dict.fromkeys([*sorted(left_out.difference(back)), *out])
    return [each for each in ids if _message(each) in there]


def _message(id: str) -> str:
    return id.partition("#")[0]


def _all_parts(message: Message, left_out: Collection[str]) -> bool:
    content = message.get("content")
    if isinstance(content, str) or not content:
        return False
    return all(f"{message['id']}#{at}" in left_out for at in range(len(content)))
