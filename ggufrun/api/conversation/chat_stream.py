"""Chat events to the chunks of a streamed chat.completion. Shapes only; no HTTP."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ggufrun.api.calls.dialect import Dialect
from ggufrun.api.calls.usage import Json, logprobs
from ggufrun.api.conversation.stream_end import StreamEnd
from ggufrun.chat.types import (
    ChatEvent,
    ChoiceEnd,
    ChoiceFinished,
    Logprob,
    Meter,
    Price,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)

DONE: Final = "data: [DONE]"


@dataclass(slots=True)
class Envelope:
    """What every chunk of one answer repeats."""

    model: str
    object: str = "chat.completion.chunk"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    head: str = ""

    def __post_init__(self) -> None:
        fields = {"id": self.id, "object": self.object, "created": self.created, "model": self.model}
        self.head = f'data: {json.dumps(fields, ensure_ascii=False)[:-1]}, "choices": '

    def line(self, choices: list[Json], extra: Json | None = None) -> str:
        """One chunk as a line of the stream; only what differs from the last one is serialized again."""
        rest = json.dumps(extra, ensure_ascii=False)[1:-1] if extra else ""
        return f"{self.head}{json.dumps(choices, ensure_ascii=False)}{', ' if rest else ''}{rest}}}"


def finish_reason(reason: ChoiceEnd, dialect: Dialect) -> str:
    """OpenAI's clients know nothing of `model_length`: the context is full."""
    return "length" if reason == "model_length" and dialect is Dialect.OPENAI else reason


def thinking_chunk(text: str, *, closed: bool) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": closed}


class ChatStream:
    """Chat events to the lines of the stream. A choice's finish chunk waits for the usage, which the last one carries.

    Mistral's clients get thinking as parts of `content`, OpenAI's as `reasoning_content`.
    """

    last = DONE

    def __init__(
        self,
        model: str,
        choices: int,
        dialect: Dialect = Dialect.MISTRAL,
        *,
        include_usage: bool = False,
        price: Price | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.envelope = Envelope(model)
        self._dialect = dialect
        self._end = StreamEnd(
            choices, self.envelope.line, self._ending, meter or Meter(), price, include_usage=include_usage
        )
        self._started: set[int] = set()  # choices that have sent their role
        self._closing: dict[int, str] = {}  # choices whose thought has ended: its last piece waits for the text
        self._ids: dict[tuple[int, int], str] = {}  # of tool calls, by choice and index

    @property
    def id(self) -> str:
        return self.envelope.id

    def lines(self, event: ChatEvent) -> Iterator[str]:
        """Lines without the blank line behind each: chunks as `data:`, prompt progress as a keep-alive comment."""
        match event:
            case TextDelta(text, choice, entries):
                yield self._line(choice, {"content": self._content(choice, text)}, entries)
            case ThinkingDelta():
                yield from self._thinking(event)
            case ToolCallDelta():
                yield from self._close_thought(event.choice)
                function = {"name": event.name, "arguments": event.arguments}
                call = {"index": event.index, **self._identity(event), "function": function}
                yield self._line(event.choice, {"content": "", "tool_calls": [call]})
            case ChoiceFinished():
                yield from self._close_thought(event.choice)
                yield from self._end.lines(event)
            case _:
                yield from self._end.lines(event)

    def failure(self, error: Exception) -> Iterator[str]:
        return self._end.failure(error)

    def _ending(self, end: ChoiceFinished) -> Json:
        return self._choice(end.choice, {"content": ""}, finish_reason(end.reason, self._dialect))

    def _content(self, choice: int, text: str) -> str | list[Json]:
        if choice not in self._closing:
            return text
        return [thinking_chunk(self._closing.pop(choice), closed=True), {"type": "text", "text": text}]

    def _thinking(self, event: ThinkingDelta) -> Iterator[str]:
        if self._dialect is Dialect.OPENAI:
            if event.text:
                yield self._line(event.choice, {"reasoning_content": event.text})
        elif event.closed:
            self._closing[event.choice] = event.text
        elif event.text:
            yield self._line(event.choice, {"content": [thinking_chunk(event.text, closed=False)]})

    def _identity(self, call: ToolCallDelta) -> Json:
        """A call's id, in each of its pieces for Mistral's clients: LangChain's takes one without for another call.

        OpenAI's Python SDK adds up the ids of all pieces, so there it is in the first one only.
        """
        if call.name:
            self._ids[call.choice, call.index] = call.id
        elif self._dialect is Dialect.OPENAI:
            return {}
        return {"id": self._ids.get((call.choice, call.index), ""), "type": "function"}

    def _close_thought(self, choice: int) -> Iterator[str]:
        """The end of a thought that no text follows."""
        if choice in self._closing:
            yield self._line(choice, {"content": [thinking_chunk(self._closing.pop(choice), closed=True)]})

    def _line(self, choice: int, delta: Json, entries: tuple[Logprob, ...] = ()) -> str:
        shown = self._choice(choice, delta, None)
        if entries:
            shown["logprobs"] = logprobs(entries)
        return self.envelope.line([shown])

    def _choice(self, choice: int, delta: Json, finish: str | None) -> Json:
        if choice not in self._started:
            self._started.add(choice)
            delta = {"role": "assistant", "content": ""} | delta
        return {"index": choice, "delta": delta, "finish_reason": finish}
