"""Chat events to the body of one whole chat.completion. Shapes only; no HTTP."""

import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field

from ggufrun.api.calls.dialect import Dialect
from ggufrun.api.calls.usage import Json, logprobs, routed, timings, usage
from ggufrun.api.conversation.chat_stream import finish_reason, thinking_chunk
from ggufrun.chat.types import (
    ChatEvent,
    ChoiceEnd,
    ChoiceFinished,
    Completed,
    Logprob,
    Meter,
    Price,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: dict[int, Json] = field(default_factory=dict)
    logprobs: list[Logprob] = field(default_factory=list)
    reason: ChoiceEnd = "stop"

    def add(self, event: TextDelta | ThinkingDelta | ToolCallDelta) -> None:
        if isinstance(event, TextDelta):
            self.text.append(event.text)
            self.logprobs += event.logprobs
        elif isinstance(event, ThinkingDelta):
            self.thinking.append(event.text)
        else:
            call = self.calls.setdefault(event.index, _empty_call(event.index, event.id))
            call["function"]["name"] += event.name
            call["function"]["arguments"] += event.arguments

    def message(self, dialect: Dialect) -> Json:
        text, thinking = "".join(self.text), "".join(self.thinking)
        message: Json = {"role": "assistant", "content": text, "tool_calls": None, "prefix": False}
        if self.calls:
            message["tool_calls"] = [self.calls[i] for i in sorted(self.calls)]
        if thinking and dialect is Dialect.OPENAI:
            message["reasoning_content"] = thinking
        elif thinking:
            said = [{"type": "text", "text": text}] if text else []
            message["content"] = [thinking_chunk(thinking, closed=True), *said]
        return message


def _empty_call(index: int, id: str) -> Json:
    return {"index": index, "id": id, "type": "function", "function": {"name": "", "arguments": ""}}


class ChatBody:
    """Collects the events of one answer."""

    def __init__(
        self,
        model: str,
        choices: int,
        dialect: Dialect = Dialect.MISTRAL,
        price: Price | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._model, self._dialect, self._price = model, dialect, price
        self._meter = meter or Meter()
        self._count = choices  # not checked yet: nothing may be made of this size
        self._choices: defaultdict[int, _Choice] = defaultdict(_Choice)
        self._done: Completed | None = None

    def add(self, event: ChatEvent) -> None:
        if isinstance(event, TextDelta | ThinkingDelta | ToolCallDelta):
            self._choices[event.choice].add(event)
        elif isinstance(event, ChoiceFinished):
            self._choices[event.choice].reason = event.reason
        elif isinstance(event, Completed):
            self._done = event

    def body(self) -> Json:
        head = {"id": uuid.uuid4().hex, "object": "chat.completion", "created": int(time.time()), "model": self._model}
        body = head | {"choices": [self._shown(i, self._choices[i]) for i in range(self._count)]}
        done = self._done
        body |= {"usage": usage(done, self._price), "timings": timings(done)} if done else {}
        return body | routed(self._meter)

    def _shown(self, index: int, choice: _Choice) -> Json:
        return {
            "index": index,
            "message": choice.message(self._dialect),
            "finish_reason": finish_reason(choice.reason, self._dialect),
            "logprobs": logprobs(tuple(choice.logprobs)) if choice.logprobs else None,
        }
