"""What of a chat stays in it but is not sent to the model: `settings.left_out`, ids of messages and of their parts.

The id of a message stands for its whole exchange, so that the order of roles stays right, and no result is without its
call. "ID#0" is the first part of a message's content; with all parts of a message its exchange is gone, too. The page
has the same rule (`ui/ask/left_out.py`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ggufrun.errors import OutOfRange
from ggufrun.records.chat_messages import ChatMessage

NAME: Final = "left_out"  # among the settings


def left_out_in(settings: Mapping[str, Any]) -> frozenset[str]:
    """What is stored may be older than the check of it."""
    given = settings.get(NAME)
    return frozenset(each for each in given if isinstance(each, str)) if isinstance(given, list) else frozenset()


def kept(history: Sequence[ChatMessage], left_out: Collection[str]) -> Sequence[ChatMessage]:
    """What the model reads of it. Raises OutOfRange where that is not the last message, which is to be answered."""
    if not left_out:
        return history
    read = [message for exchange in exchanges(history) for message in kept_of(exchange, left_out)]
    if history and (not read or read[-1].id != history[-1].id):
        hint = "Take it, and the question before it, out of left_out."
        raise OutOfRange("What is to be answered is left out.", hint, "settings.left_out")
    return read


def exchanges(branch: Iterable[ChatMessage]) -> Sequence[Sequence[ChatMessage]]:
    """Each question with all that follows it up to the next one. What stands before the first question is one, too."""
    found: list[list[ChatMessage]] = []
    for message in branch:
        if message.role == "user" or not found:
            found.append([])
        found[-1].append(message)
    return found


def kept_of(exchange: Sequence[ChatMessage], left_out: Collection[str]) -> Sequence[ChatMessage]:
    """What the model reads of one; nothing where it is left out."""
    if any(message.id in left_out for message in exchange):
        return ()
    read = [_without_parts(message, left_out) for message in exchange]
    return () if any(was.content and not now.content for was, now in zip(exchange, read, strict=True)) else read


def settings_with(
    stored: Mapping[str, Any], settings: Mapping[str, Any] | None, left_out: Sequence[str] | None
) -> Mapping[str, Any]:
    """The settings of a chat once they are changed. Of whoever does not say what is left out, it stays."""
    new = stored if settings is None else settings
    if left_out is not None:
        return {**new, NAME: left_out}
    return {**new, NAME: stored[NAME]} if NAME in stored and NAME not in new else new


def renamed(left_out: Collection[str], ids: Mapping[str, str]) -> list[str]:
    """With the ids that messages have now, without those of no message."""
    split = [each.partition("#") for each in left_out]
    return [f"{ids[id]}{mark}{part}" for id, mark, part in split if id in ids]


def _without_parts(message: ChatMessage, left_out: Collection[str]) -> ChatMessage:
    if isinstance(message.content, str):
        return message
    parts = [part for at, part in enumerate(message.content) if f"{message.id}#{at}" not in left_out]
    return message if len(parts) == len(message.content) else replace(message, content=parts)
