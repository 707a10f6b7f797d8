"""What all contenders are asked: one prompt, in the chat's settings, with the same dice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_NOT_SAMPLING: Final = ("model", "messages", "stream", "stream_options", "n", "tools", "tool_choice")


@dataclass(frozen=True, slots=True)
class Question:
    """`settings` are the chat's, {} for each model's own. Tools stay out: nobody would answer their calls."""

    prompt: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    greedy: bool = False  # temperature 0: no dice at all
    max_tokens: int | None = None

    def body(self, model: str) -> dict[str, Any]:
        """For POST /v1/chat/completions."""
        given = self.settings.get("sampling") or {}
        body = {name: value for name, value in given.items() if name not in _NOT_SAMPLING}
        body |= {"model": model, "messages": self._messages(), "stream": True}
        if (schema := self.settings.get("schema")) is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        if self.seed is not None:
            body.pop("seed", None)
            body["random_seed"] = self.seed
        if self.greedy:
            body["temperature"] = 0
        if self.max_tokens is not None:
            body.pop("max_completion_tokens", None)
            body["max_tokens"] = self.max_tokens
        return body

    def _messages(self) -> list[dict[str, str]]:
        system = self.settings.get("system")
        messages = [{"role": "system", "content": str(system)}] if system else []
        return [*messages, {"role": "user", "content": self.prompt}]
