"""Chat events to the JSON of chat.completion and chat.completion.chunk. Shapes only; no HTTP."""

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ggufrun.chat.types import (
    ChatEvent,
    ChoiceFinished,
    Completed,
    Logprob,
    PromptProcessed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)

Json = dict[str, Any]


def usage(done: Completed) -> Json:
    """Token counts; `prompt_tokens_details.cached_tokens` are those that were not computed again."""
    cached = max((stats.cached_tokens for stats in done.stats), default=0)
    return _usage(done.prompt_tokens, done.completion_tokens, cached)


def _usage(prompt: int, completion: int, cached: int) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def timings(done: Completed) -> Json:
    """Counters summed over the choices; times in milliseconds."""
    names = ("cached", "restored", "forced", "drafted", "accepted")
    counts = {f"{name}_tokens": sum(getattr(stats, f"{name}_tokens") for stats in done.stats) for name in names}
    counts["model_steps"] = sum(stats.model_steps for stats in done.stats)
    counts["preemptions"] = sum(stats.preemptions for stats in done.stats)
    seconds = max((stats.generation_s for stats in done.stats), default=0.0)
    return counts | {
        "queue_ms": round(1e3 * max((stats.queue_s for stats in done.stats), default=0.0), 3),
        "prompt_ms": round(1e3 * max((stats.prompt_s for stats in done.stats), default=0.0), 3),
        "ttft_ms": round(1e3 * done.ttft_s, 3),
        "total_ms": round(1e3 * done.total_s, 3),
        "tokens_per_second": round(done.completion_tokens / seconds, 2) if seconds > 0 else 0.0,
        "context": done.context,
        "context_used": done.context_used,
    }


def logprobs(entries: tuple[Logprob, ...]) -> Json:
    return {"content": [_logprob(entry) | {"top_logprobs": [_logprob(t) for t in entry.top]} for entry in entries]}


def _logprob(entry: Logprob) -> Json:
    shown = {"token": entry.token, "token_id": entry.token_id, "logprob": entry.logprob, "bytes": list(entry.raw)}
    return shown | {"forced": True} if entry.forced else shown


@dataclass(slots=True)
class Envelope:
    """What every chunk of one answer repeats."""

    model: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    started: set[int] = field(default_factory=set)  # choices that have sent their role
    head: str = ""

    def __post_init__(self) -> None:
        fields = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}
        self.head = json.dumps(fields, ensure_ascii=False)[:-1] + ', "choices": '

    def chunk(self, choices: list[Json], extra: Json | None = None) -> str:
        """One chunk as JSON; only what differs from the last one is serialized again."""
        rest = json.dumps(extra, ensure_ascii=False)[1:-1] if extra else ""
        return f"{self.head}{json.dumps(choices, ensure_ascii=False)}{', ' if rest else ''}{rest}}}"

    def delta(self, choice: int, delta: Json, finish: str | None = None, entries: tuple[Logprob, ...] = ()) -> Json:
        if choice not in self.started:
            self.started.add(choice)
            delta = {"role": "assistant", "content": ""} | delta
        shown: Json = {"index": choice, "delta": delta, "finish_reason": finish}
        if entries:
            shown["logprobs"] = logprobs(entries)
        return shown


def _delta(event: ChatEvent) -> Json | None:
    match event:
        case TextDelta(text):
            return {"content": text}
        case ThinkingDelta(text):
            return {"reasoning_content": text} if text else None
        case ToolCallDelta(index, id, name, arguments):
            function = {"name": name, "arguments": arguments}
            first = {"id": id, "type": "function"} if name else {}
            return {"content": "", "tool_calls": [{"index": index, **first, "function": function}]}
    return None


class StreamShaper:
    """Chat events to chunks. A choice's finish chunk waits for the usage, which the last one carries."""

    def __init__(self, model: str, choices: int, include_usage: bool) -> None:
        self.envelope = Envelope(model)
        self._include_usage = include_usage
        self._open = set(range(choices))  # choices whose end has not come
        self._ends: list[ChoiceFinished] = []  # ends that have not gone out
        self._prompt_tokens = self._cached_tokens = 0

    def lines(self, event: ChatEvent) -> Iterator[str]:
        """SSE lines without their blank line: chunks as `data:`, prompt progress as a keep-alive comment."""
        if isinstance(event, Started):
            self._prompt_tokens = event.prompt_tokens
        elif isinstance(event, PromptProcessed):
            self._cached_tokens = event.cached
            yield f": {event.done} of {event.total} prompt tokens processed"
        elif isinstance(event, ChoiceFinished):
            self._open.discard(event.choice)
            self._ends.append(event)
        elif isinstance(event, Completed):
            yield from self._finish(event)
        elif (delta := _delta(event)) is not None:
            entries = event.logprobs if isinstance(event, TextDelta) else ()
            choice = getattr(event, "choice", 0)
            yield "data: " + self.envelope.chunk([self.envelope.delta(choice, delta, entries=entries)])

    def _finish(self, done: Completed) -> Iterator[str]:
        yield from self._last_chunks({"usage": usage(done), "timings": timings(done)})
        if self._include_usage:
            yield "data: " + self.envelope.chunk([], {"usage": usage(done)})

    def failure(self, message: str, kind: str) -> Iterator[str]:
        """What ends a stream that cannot go on: both dialects' SDKs see the error in the last chunk.

        Choices that did end keep their reason. Of the usage the prompt is known, the answer's tokens are not.
        """
        error = {"message": message, "type": kind, "param": None, "code": None}
        self._ends += [ChoiceFinished("error", choice) for choice in sorted(self._open)]
        yield from self._last_chunks({"usage": _usage(self._prompt_tokens, 0, self._cached_tokens), "error": error})

    def _last_chunks(self, extra: Json) -> Iterator[str]:
        """The ends that wait, each in its chunk; the last one carries `extra`."""
        for number, end in enumerate(self._ends, 1):
            choice = self.envelope.delta(end.choice, {"content": ""}, end.reason)
            yield "data: " + self.envelope.chunk([choice], extra if number == len(self._ends) else None)
        self._ends = []


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: dict[int, Json] = field(default_factory=dict)
    logprobs: list[Logprob] = field(default_factory=list)
    reason: str = "stop"

    def add(self, event: TextDelta | ThinkingDelta | ToolCallDelta) -> None:
        if isinstance(event, TextDelta):
            self.text.append(event.text)
            self.logprobs += event.logprobs
        elif isinstance(event, ThinkingDelta):
            self.thinking.append(event.text)
        else:
            empty = {
                "index": event.index,
                "id": event.id,
                "type": "function",
                "function": {"name": "", "arguments": ""},
            }
            function = self.calls.setdefault(event.index, empty)["function"]
            function["name"] += event.name
            function["arguments"] += event.arguments

    def shown(self, index: int) -> Json:
        message: Json = {"role": "assistant", "content": "".join(self.text), "tool_calls": None, "prefix": False}
        if self.calls:
            message["tool_calls"] = [self.calls[i] for i in sorted(self.calls)]
        if self.thinking:
            message["reasoning_content"] = "".join(self.thinking)
        entries = logprobs(tuple(self.logprobs)) if self.logprobs else None
        return {"index": index, "message": message, "finish_reason": self.reason, "logprobs": entries}


class Collector:
    """Chat events to one chat.completion body."""

    def __init__(self, model: str, choices: int) -> None:
        self._envelope = Envelope(model)
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
        choices = [self._choices[i].shown(i) for i in range(self._count)]
        head = {"id": self._envelope.id, "object": "chat.completion", "created": self._envelope.created}
        body = head | {"model": self._envelope.model, "choices": choices}
        return body | ({"usage": usage(self._done), "timings": timings(self._done)} if self._done else {})
