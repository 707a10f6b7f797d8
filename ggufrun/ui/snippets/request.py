"""The request that the page would send, as the body of POST /v1/chat/completions: model, system prompt and settings."""

from collections.abc import Mapping
from typing import Any, Final

EXAMPLE: Final = "Name three rivers."


def request_of(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` as /ggufrun/v1/chats has them."""
    system = settings.get("system")
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {"model": model, "messages": [*messages, {"role": "user", "content": EXAMPLE}]}
    body |= settings.get("sampling") or {}
    if (schema := settings.get("schema")) is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    if settings.get("tools"):
        body["tools"] = settings["tools"]
    return body
