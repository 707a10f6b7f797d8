"""Saved chats as a text and as prompts: all that was said is scored, the last questions are asked again"""

from collections.abc import Sequence
from typing import Final

from ggufrun.compare.texts.source import Part, Prompt
from ggufrun.errors import OptionError

Chat = Sequence[tuple[str, str]]  # roles and texts, in their order

NAME: Final = "chats"
_ROLES: Final = ("system", "user", "assistant")


def part_of(chats: Sequence[Chat]) -> Part:
    """All that was said, in plain text. Raises OptionError where there is nothing."""
    texts = ["\n\n".join(text for _, text in chat if text.strip()) for chat in chats]
    whole = "\n\n".join(text for text in texts if text)
    if not whole:
        raise OptionError("There are no saved chats with text in them.", "Chat first, or give --text FILE.")
    return Part(NAME, whole)


def prompts_of(chats: Sequence[Chat]) -> tuple[Prompt, ...]:
    """Each chat up to its user's last message. Chats without one, and those with tools' messages, are left out."""
    found = []
    for chat in chats:
        known = tuple((role, text) for role, text in chat)
        last = max((at for at, (role, text) in enumerate(known) if role == "user" and text.strip()), default=None)
        if last is not None and all(role in _ROLES for role, _ in known[: last + 1]):
            found.append(Prompt(NAME, known[: last + 1]))
    return tuple(found)
