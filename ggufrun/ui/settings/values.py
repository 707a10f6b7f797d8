"""Changing the settings of a chat: one of them at a time, and all that is not known here stays. No widgets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Settings = dict[str, Any]  # as `settings` of /ggufrun/v1/chats has it


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What is to be kept of the chat that was open when the user made it; "": of none. Each one is new."""

    chat: str
    settings: Settings


Made = tuple[Settings, Change]


def with_system(settings: Mapping[str, Any], text: str, chat: str) -> Made:
    return _made(settings, "system", text if text.strip() else None, chat)


def with_sampling(settings: Mapping[str, Any], sampling: Mapping[str, Any], chat: str) -> Made:
    return _made(settings, "sampling", dict(sampling) or None, chat)


def with_tools(settings: Mapping[str, Any], tools: Sequence[Any], chat: str) -> Made:
    return _made(settings, "tools", list(tools) or None, chat)


def with_schema(settings: Mapping[str, Any], schema: dict[str, Any] | bool | None, chat: str) -> Made:
    """{} is a schema too: any JSON."""
    return _made(settings, "schema", schema, chat)


def sampling_in(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = settings.get("sampling")
    return dict(found) if isinstance(found, Mapping) else {}


def tools_in(settings: Mapping[str, Any]) -> list[Any]:
    found = settings.get("tools")
    return list(found) if isinstance(found, list) else []


def system_in(settings: Mapping[str, Any]) -> str:
    return str(settings.get("system") or "")


def _made(settings: Mapping[str, Any], name: str, value: Any, chat: str) -> Made:
    """None: it is left out, so that the model's own holds."""
    kept = {key: old for key, old in settings.items() if key != name}
    now = kept if value is None else {**kept, name: value}
    return now, Change(chat, now)
