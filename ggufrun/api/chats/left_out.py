"""What of a chat stays in it but is not sent to the model: `settings.left_out`, ids of messages and of their parts.

The id of a question stands for all that follows it up to the next one, so that the order of roles stays right. "ID#0"
is the first part of a message's content.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ggufrun.errors import OutOfRange
from ggufrun.records.chat_messages import ChatMessage


def left_out_in(settings: Mapping[str, Any]) -> frozenset[str]:
    """What is stored may be older than the check of it."""
    given = settings.get("left_out")
    return frozenset(each for each in given if isinstance(each, str)) if isinstance(given, list) else frozenset()


def kept(history: Sequence[ChatMessage], left_out: Collection[str]) -> Sequence[ChatMessage]:
    """What the model reads of it. Raises OutOfRange where that is not the last message, which is to be answered."""
    if not left_out:
        return history
    read: list[ChatMessage] = []
    gone = False
    for message in history:
        if message.role == "user":
            gone = message.id in left_out
        if not gone and message.id not in left_out:
            read.append(_without_parts(message, left_out))
    if history and (not read or read[-1].id != history[-1].id):
        hint = "Take it, and the question before it, out of left_out."
        raise OutOfRange("What is to be answered is left out.", hint, "settings.left_out")
    return read


def renamed(left_out: Collection[str], ids: Mapping[str, str]) -> list[str]:
    """With the ids that messages have now, without those of no message."""
    split = [each.partition("#") for each in left_out]
    return [f"{ids[id]}{mark}{part}" for id, mark, part in split if id in ids]


def _without_parts(message: ChatMessage, left_out: Collection[str]) -> ChatMessage:
    if isinstance(message.content, str):
        return message
    parts = [part for at, part in enumerate(message.content) if f"{message.id}#{at}" not in left_out]
    return message if len(parts) == len(message.content) else replace(message, content=parts)
