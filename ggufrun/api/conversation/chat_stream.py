"""Chat events to the chunks of a streamed chat.completion. Shapes only; no HTTP."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ggufrun.api.calls.dialect import Dialect
from ggufrun.api.calls.usage import Json, logprobs, timings, usage, usage_of
from ggufrun.api.errors import envelope_of
from ggufrun.chat.types import (
    ChatEvent,
    ChoiceEnd,
    ChoiceFinished,
    Completed,
    Logprob,
    Meter,
    Price,
    PromptProcessed,
    Started,
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
        self._meter = meter or Meter()
        self._dialect, self._include_usage, self._price = dialect, include_usage, price
        self._open = set(range(choices)) if choices <= 1024 else set()  # choices whose end has not come
        self._started: set[int] = set()  # choices that have sent their role
        self._closing: dict[int, str] = {}  # choices whose thought has ended: its last piece waits for the text
        self._ends: list[ChoiceFinished] = []  # ends that have not gone out
        self._ids: dict[tuple[int, int], str] = {}  # of tool calls, by choice and index
        self._prompt_tokens = self._cached_tokens = 0

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
                self._open.discard(event.choice)
                self._ends.append(event)
            case Started():
                self._prompt_tokens = event.prompt_tokens
            case PromptProcessed():
                self._cached_tokens = event.cached
                yield f": {event.done} of {event.total} prompt tokens processed"
            case Completed():
                yield from self._finish(event)

    def failure(self, error: Exception) -> Iterator[str]:
        """What ends a stream that cannot go on: both dialects' SDKs see the error in the last chunk.

        Choices that did end keep their reason. The usage is what had been used by then.
        """
        self._ends += [ChoiceFinished("error", choice) for choice in sorted(self._open)]
        used = self._meter
        prompt, cached = used.prompt_tokens or self._prompt_tokens, used.cached_tokens or self._cached_tokens
        counts = usage_of(prompt, used.completion_tokens, cached, self._price)
        yield from self._last_chunks({"usage": counts, "error": envelope_of(error)["error"]})

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

    def _finish(self, done: Completed) -> Iterator[str]:
        counts = usage(done, self._price)
        yield from self._last_chunks({"usage": counts, "timings": timings(done)})
        if self._include_usage:
            yield self.envelope.line([], {"usage": counts})

    def _last_chunks(self, extra: Json) -> Iterator[str]:
        """The ends that wait, each in its chunk; the last one carries `extra`."""
        for number, end in enumerate(self._ends, 1):
            reason = finish_reason(end.reason, self._dialect)
            choice = self._choice(end.choice, {"content": ""}, reason)
            yield self.envelope.line([choice], extra if number == len(self._ends) else None)
        self._ends = []

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
