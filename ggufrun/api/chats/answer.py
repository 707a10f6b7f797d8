"""An answer while it comes: the chat events of one run, added up to the message that the chat keeps."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ggufrun.api.calls.usage import timings, usage, usage_of
from ggufrun.chat.types import (
    ChatEvent,
    ChoiceFinished,
    Completed,
    Meter,
    Price,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.records.chat_messages import ChatMessage


class Answer:
    """`message` is the empty one, or the answer that is gone on with: the model then begins with its text again."""

    def __init__(self, message: ChatMessage, price: Price | None) -> None:
        self._message, self._price = message, price
        self._text = [message.text]
        self._thinking = [message.thinking]
        self._calls: dict[int, dict[str, Any]] = {}
        self._again = message.text  # what the model is still to repeat
        self._meta: dict[str, Any] = dict(message.meta)
        if not _is_time(self._meta.get("thinking_ms", 0)):  # an import may bring anything
            del self._meta["thinking_ms"]
        self._thinks_since: float | None = None

    def add(self, event: ChatEvent) -> ChatEvent | None:
        """What of the event is new to the reader of the message."""
        match event:
            case TextDelta(text):
                self._end_thought()
                text = self._without_repeated(text)
                self._text.append(text)
                return replace(event, text=text) if text else None
            case ThinkingDelta(text):
                self._thinks_since = self._thinks_since or time.perf_counter()
                self._thinking.append(text)
                if event.closed:
                    self._end_thought()
            case ToolCallDelta():
                self._end_thought()
                self._add_call(event)
            case ChoiceFinished():
                self._meta["finish_reason"] = event.reason
            case Completed():
                self._meta |= {"usage": usage(event, self._price), "timings": timings(event)}
            case Started():
                self._meta["context"] = event.context
        return event

    def cut(self, meter: Meter, generation_ms: int) -> None:
        """What one that was stopped, or failed, has used; of one that has come to its end the model has said it."""
        if "usage" in self._meta:
            return
        prompt, tokens, cached = meter.prompt_tokens, meter.completion_tokens, meter.cached_tokens
        speed = round(1e3 * (tokens - 1) / generation_ms, 2) if tokens > 1 and generation_ms else 0.0
        ttft = {} if meter.ttft_s is None else {"ttft_ms": round(1e3 * meter.ttft_s, 3)}
        context = {"context": self._meta["context"]} if "context" in self._meta else {}
        timed = {"cached_tokens": cached, "tokens_per_second": speed, **ttft}
        self._meta["usage"] = usage_of(prompt, tokens, cached, self._price)
        self._meta["timings"] = timed | {**context, "context_used": prompt + tokens}

    def end(self, state: str, **meta: Any) -> ChatMessage:
        self._end_thought()
        self._meta |= {"state": state, **meta}
        return self.message()

    def message(self) -> ChatMessage:
        """As far as it has come."""
        self._text, self._thinking = ["".join(self._text)], ["".join(self._thinking)]
        calls = [*self._message.tool_calls, *(_copy(self._calls[index]) for index in sorted(self._calls))]
        return replace(
            self._message, content=self._text[0], thinking=self._thinking[0], tool_calls=calls, meta=dict(self._meta)
        )

    def _without_repeated(self, text: str) -> str:
        again = self._again
        if not again:
            return text
        if again.startswith(text):
            self._again = again[len(text) :]
            return ""
        self._again = ""
        return text.removeprefix(again)

    def _add_call(self, event: ToolCallDelta) -> None:
        empty = {"id": event.id, "type": "function", "function": {"name": "", "arguments": ""}}
        function = self._calls.setdefault(event.index, empty)["function"]
        function["name"] += event.name
        function["arguments"] += event.arguments

    def _end_thought(self) -> None:
        if self._thinks_since is not None:
            took = 1e3 * (time.perf_counter() - self._thinks_since)
            self._meta["thinking_ms"] = round(self._meta.get("thinking_ms", 0) + took)
            self._thinks_since = None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e12


def _copy(call: Mapping[str, Any]) -> dict[str, Any]:
    return {**call, "function": dict(call["function"])}
