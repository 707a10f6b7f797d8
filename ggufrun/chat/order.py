"""The order of messages that Mistral's API allows, in mistral-common's words, for both ways of writing prompts."""

from collections.abc import Sequence
from itertools import pairwise

from ggufrun.chat.types import Message
from ggufrun.errors import MessageOrder

_CALLING = ("assistant", "tool")


def check_order(messages: Sequence[Message]) -> None:
    """Raise MessageOrder where mistral-common's validator, which the hosted API runs, would.

    Like the validator's, these rules leave a first message alone that others follow: a greeting, or what is left of a
    history that was cut, may stand there, and its tool calls count for nothing.
    What differs: ids of tool calls are not compared here (`ToolIds` pairs them), a developer's message is a system's,
    and no messages at all are `EmptyPrompt`'s to refuse.
    """
    if not messages:
        return
    roles = ["system" if message.role == "developer" else message.role for message in messages]
    if len(roles) == 1 and roles[0] not in ("system", "user"):
        raise _refused(f"Conversation must start with a user message or system message but got {roles[0]}.")
    if any(message.prefix for message in messages[:-1] if message.role == "assistant"):
        raise _refused("Assistant message with prefix True must be last message.")
    for before, role in pairwise(roles):
        if (role == "tool" and before not in _CALLING) or (role == "system" and before in _CALLING):
            raise _refused(f"Unexpected role '{role}' after role '{before}'.")
    _check_last(messages[-1], roles[-1])
    _check_results(messages[1:])


def _check_last(message: Message, role: str) -> None:
    if role != "assistant" or message.prefix:  # mistral-common lets a system message be the last
        return
    expected = "Expected last role User or Tool (or Assistant with prefix True) for serving but got"
    raise _refused(f"{expected} {role}.", "End with what is to be answered, or set prefix.")


def _check_results(messages: Sequence[Message]) -> None:
    """Each assistant's calls have as many results before the assistant's next turn."""
    waiting = 0
    for message in messages:
        if message.role == "tool":
            waiting -= 1
        elif message.role == "assistant":
            if waiting:
                break
            waiting = len(message.tool_calls or ())
    if waiting:
        hint = "Give each of tool_calls one message of role tool."
        raise _refused("Not the same number of function calls and responses.", hint)


def _refused(message: str, hint: str = "") -> MessageOrder:
    return MessageOrder(message, hint, "messages")
