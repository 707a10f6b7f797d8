"""An answer while it comes: the events of its run, added up to a message and to what the meter shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ggufrun.ui.chat.conversation import Said


@dataclass(frozen=True, slots=True)
class Progress:
    """`prompt` tokens of `prompt_of` are read; the answer has `tokens`, in `ms` since its first."""

    prompt: int = 0
    prompt_of: int = 0
    tokens: int = 0
    ms: int = 0
    context: int = 0


@dataclass
class Live:
    """`ended`: the whole message has come."""

    message: Said
    progress: Progress = Progress()
    ended: bool = False
    _text: list[str] = field(default_factory=list)
    _thinking: list[str] = field(default_factory=list)
    _calls: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "start":
                self._begin(Said.of(event["message"]))
            case "progress":
                self.progress = replace(self.progress, prompt=event["done"], prompt_of=event["total"])
            case "text":
                self._text.append(event["text"])
            case "thinking":
                self._thinking.append(event["text"])
            case "tool_call":
                self._add_call(event)
            case "end":
                self.message, self.ended = Said.of(event["message"]), True
        if isinstance(tokens := event.get("tokens"), int):
            self.progress = replace(self.progress, tokens=tokens, ms=int(event.get("ms") or 0))

    def so_far(self) -> Said:
        if not self.ended:
            self._text, self._thinking = ["".join(self._text)], ["".join(self._thinking)]
            calls = [*self.message.tool_calls, *(self._calls[index] for index in sorted(self._calls))]
            text = self._text[0] or self.message.content
            return replace(self.message, content=text, thinking=self._thinking[0], tool_calls=calls)
        return self.message

    def _begin(self, message: Said) -> None:
        self.message = message
        self._text = [message.content if isinstance(message.content, str) else ""]
        self._thinking, self._calls = [message.thinking], {}
        context = message.meta.get("context")
        self.progress = replace(self.progress, context=context if isinstance(context, int) else 0)

    def _add_call(self, event: Mapping[str, Any]) -> None:
        empty = {"id": event["id"], "type": "function", "function": {"name": "", "arguments": ""}}
        function = self._calls.setdefault(event["index"], empty)["function"]
        function["name"] += event["name"]
        function["arguments"] += event["arguments"]
