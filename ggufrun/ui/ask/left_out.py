"""What of a chat is shown and not sent to the model: `left_out` of its settings, ids of questions and "ID#0" of parts.

A question's id stands for what follows it up to the next one, as the server reads it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with its answer, and what tools said in between."""

    id: str
    messages: tuple[Message, ...]


def left_out_in(settings: Mapping[str, Any] | None) -> frozenset[str]:
    given = (settings or {}).get("left_out")
    return frozenset(each for each in given if isinstance(each, str)) if isinstance(given, list) else frozenset()


def left_out_ids(branch: Sequence[Message], settings: Mapping[str, Any] | None) -> frozenset[str]:
    """Of the messages in a branch that the model does not read; parts as "ID#0"."""
    left_out = left_out_in(settings)
    gone = {message["id"] for each in exchanges(branch) if each.id in left_out for message in each.messages}
    return left_out | gone


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


def changed(
    settings: Mapping[str, Any], *, known: Iterable[str], out: Iterable[str] = (), back: Iterable[str] = ()
) -> dict[str, Any]:
    """The settings with `out` left out and `back` not any more. `known`: the chat's messages, others are forgotten."""
    there, gone = set(known), set(back)
    ids = dict.fromkeys([*sorted(left_out_in(settings)), *out])
    left_out = [each for each in ids if each not in gone and each.partition("#")[0] in there]
    return {**settings, "left_out": left_out}
