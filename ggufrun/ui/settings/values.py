"""Changing the settings of a chat: one of them at a time, and all that is not known here stays. No widgets."""

from collections.abc import Mapping, Sequence
from typing import Any

Settings = dict[str, Any]  # as `settings` of /ggufrun/v1/chats has it


def with_system(settings: Mapping[str, Any], text: str) -> Settings:
    return _with(settings, "system", text if text.strip() else None)


def with_sampling(settings: Mapping[str, Any], sampling: Mapping[str, Any]) -> Settings:
    return _with(settings, "sampling", dict(sampling) or None)


def with_tools(settings: Mapping[str, Any], tools: Sequence[Any]) -> Settings:
    return _with(settings, "tools", list(tools) or None)


def with_schema(settings: Mapping[str, Any], schema: dict[str, Any] | bool | None) -> Settings:
    """{} is a schema too: any JSON."""
    return _with(settings, "schema", schema)


def sampling_in(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = settings.get("sampling")
    return dict(found) if isinstance(found, Mapping) else {}


def tools_in(settings: Mapping[str, Any]) -> list[Any]:
    found = settings.get("tools")
    return list(found) if isinstance(found, list) else []


def system_in(settings: Mapping[str, Any]) -> str:
    return str(settings.get("system") or "")


def _with(settings: Mapping[str, Any], name: str, value: Any) -> Settings:
    """None: it is left out, so that the model's own holds."""
    kept = {key: old for key, old in settings.items() if key != name}
    return kept if value is None else {**kept, name: value}
