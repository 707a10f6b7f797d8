"""Chats in other words: the branch that is shown as Markdown, all of it as JSON, and such JSON as messages again."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from ggufrun.api.chats.bodies import ExportedChat
from ggufrun.api.chats.left_out import renamed
from ggufrun.errors import OutOfRange, cut
from ggufrun.records.chat_messages import ChatMessage
from ggufrun.records.chats import Chat

_NAMES: Final = {"user": "User", "assistant": "Assistant", "tool": "Tool"}


def exported(chat: Chat, messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """What `imported` reads."""
    head = {"format": "ggufrun-chat", "version": 1, "title": chat.title, "model": chat.model}
    shown = [asdict(message) for message in messages]
    return {**head, "settings": dict(chat.settings), "head": chat.head, "messages": shown}


def imported(chat: ExportedChat) -> Sequence[ChatMessage]:
    """The messages with ids of their own, the one whose branch was shown last. Raises OutOfRange.

    What was under way when it was exported has been stopped here.
    """
    ids: dict[str, ChatMessage] = {}
    for index, each in enumerate(chat.messages):
        if each.id in ids:
            raise OutOfRange(
                f"Two messages have the id {cut(each.id)!r}.", "Give each its own.", f"messages.{index}.id"
            )
        if each.parent is not None and each.parent not in ids:
            hint = "Put parents before their children."
            raise OutOfRange(f"No message before it is {cut(each.parent)!r}.", hint, f"messages.{index}.parent")
        given = {name: getattr(each, name) for name in type(each).model_fields if name not in ("id", "parent", "meta")}
        parent = None if each.parent is None else ids[each.parent].id
        ids[each.id] = ChatMessage(**given, parent=parent, meta=_meta(each.meta))
    if chat.head is not None and chat.head not in ids:
        raise OutOfRange(f"No message is {cut(chat.head)!r}.", "Leave head out, or name one of them.", "head")
    return list(ids.values())


def shown_in(chat: ExportedChat, messages: Sequence[ChatMessage]) -> str | None:
    """The new id of the message whose branch was shown; the last one's where none was named."""
    if chat.head is not None:
        return _new_ids(chat, messages)[chat.head]
    return messages[-1].id if messages else None


def settings_in(chat: ExportedChat, messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """Its settings, with the new ids."""
    settings = chat.settings.written()
    if chat.settings.left_out:
        settings["left_out"] = renamed(chat.settings.left_out, _new_ids(chat, messages))
    return settings


def _new_ids(chat: ExportedChat, messages: Sequence[ChatMessage]) -> dict[str, str]:
    return {each.id: message.id for each, message in zip(chat.messages, messages, strict=True)}


def markdown(chat: Chat, branch: Sequence[ChatMessage]) -> str:
    """Title, then each message under its role; thoughts are quoted, tool calls are blocks of JSON."""
    lines = [f"# {' '.join(chat.title.split()) or 'Chat'}"]
    if system := chat.settings.get("system"):
        lines += ["## System", system]
    for message in branch:
        name = message.meta.get("model") if message.role == "assistant" else message.name
        lines.append(f"## {_NAMES.get(message.role, message.role)}{f' ({name})' if name else ''}")
        if message.thinking:
            lines.append("\n".join(f"> {line}" for line in message.thinking.strip().split("\n")))
        if text := message.text.strip():
            lines.append(text)
        lines += [_call(call) for call in message.tool_calls]
    return "\n\n".join(lines) + "\n"


def _meta(meta: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in meta.items() if name != "run"}
    return kept | {"state": "stopped"} if kept.get("state") == "running" else kept


def _call(call: Any) -> str:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}  # a client may have stored anything
    return f"```json\n{function.get('name', '')}({function.get('arguments', '')})\n```"
