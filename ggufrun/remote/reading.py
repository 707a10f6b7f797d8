"""A remote's chunks to chat events: text, thinking, tool calls, log-probabilities, ends, usage. No HTTP."""

import time
from collections.abc import Sequence
from typing import Any

from ggufrun.chat.types import (
    ChatEvent,
    ChoiceEnd,
    ChoiceFinished,
    Completed,
    Meter,
    PromptProcessed,
    TextDelta,
    ThinkingDelta,
)
from ggufrun.engine.types import FinishReason, Stats
from ggufrun.remote.asked import Asked
from ggufrun.remote.calls import Calls
from ggufrun.remote.logprobs import entries_of
from ggufrun.remote.prefix import Prefix

Json = dict[str, Any]

_ENDS: dict[str, ChoiceEnd] = {
    "stop": "stop",
    "length": "length",
    "model_length": "model_length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_MOST = 1 << 40  # tokens
_REASONS: dict[ChoiceEnd, FinishReason] = {"length": FinishReason.LENGTH, "model_length": FinishReason.CONTEXT}


class Strange(ValueError):
    """What came is no chunk of an answer. Its words are ours."""


class Failed(Exception):
    """The remote says that it failed: `error` is what it says, as JSON."""

    def __init__(self, error: Any, *, down: bool = True) -> None:
        """`down`: the engine has failed, not this one answer alone."""
        super().__init__("the remote says that it failed")
        self.error, self.down = error, down


class _Choice:
    __slots__ = ("calls", "end", "first", "last", "pieces", "prefix", "thinking")

    def __init__(self, prefix: Prefix | None, *, single_call: bool) -> None:
        self.calls = Calls(single=single_call)
        self.prefix = prefix
        self.thinking = False  # a thought is open
        self.end: ChoiceEnd | None = None
        self.pieces = 0  # with something in them: about a token each
        self.first: float | None = None
        self.last: float | None = None


class Reading:
    """Of one answer. The meter counts pieces as tokens, until the remote says how many there were."""

    def __init__(self, asked: Asked, context: int, started: float, meter: Meter) -> None:
        self._asked, self._context, self._started, self._meter = asked, context, started, meter
        self._choices = [
            _Choice(Prefix(asked.prefix) if asked.echoed else None, single_call=asked.single_call)
            for _ in range(asked.choices)
        ]
        self._before = meter.completion_tokens  # of earlier attempts
        self._again = meter.ttft_s is not None
        self._usage: Json | None = None
        self.open = asked.choices
        self.prompt_tokens = 0
        self.completion_tokens = 0

    @property
    def whole(self) -> bool:
        """Whether all choices have ended."""
        return not self.open

    def begin(self) -> Sequence[ChatEvent]:
        """The beginning that the request gives."""
        prefix = self._asked.prefix
        return [TextDelta(prefix, choice) for choice in range(self._asked.choices)] if prefix else ()

    def read(self, chunk: Any) -> list[ChatEvent]:
        """Raises Failed, and Strange for what is no chunk."""
        try:
            return self._read(chunk)
        except (AttributeError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise Strange("it sent what is no part of an answer") from error

    def progress(self, done: int, total: int, cached: int = 0) -> PromptProcessed:
        self._count_prompt(total)
        return PromptProcessed(done, total, cached)

    def completed(self) -> Completed:
        """The last event."""
        now = time.perf_counter()
        prompt, spoken = self.prompt_tokens, self.completion_tokens
        cached = self._meter.cached_tokens
        counts = [choice.pieces for choice in self._choices] if len(self._choices) > 1 else [spoken]
        firsts = [choice.first for choice in self._choices if choice.first is not None]
        first = min(firsts, default=now)
        return Completed(
            prompt_tokens=prompt,
            completion_tokens=spoken,
            stats=tuple(
                Stats(
                    prompt,
                    count,
                    cached_tokens=cached,
                    prompt_s=(choice.first or now) - self._started,
                    generation_s=(choice.last or 0.0) - (choice.first or 0.0),
                )
                for choice, count in zip(self._choices, counts, strict=True)
            ),
            ttft_s=first - self._started,
            total_s=now - self._started,
            context_used=prompt + max(counts),
            context=self._context,
            reasons=tuple(_REASONS.get(choice.end or "stop", FinishReason.STOP) for choice in self._choices),
        )

    def _read(self, chunk: Any) -> list[ChatEvent]:
        if error := chunk.get("error"):
            raise Failed(error)
        if chunk.get("object") == "error":
            raise Failed(chunk)
        events: list[ChatEvent] = []
        for shown in chunk.get("choices") or ():
            number = shown.get("index") or 0
            if number < 0:
                raise Strange("it sent a choice that nobody asked for")
            choice = self._choices[number]
            delta = shown.get("delta")
            if delta is None:
                delta = {"content": shown.get("text")}  # of raw text
            if choice.end is None:
                self._delta(events, number, choice, delta, shown.get("logprobs"))
                if (reason := shown.get("finish_reason")) is not None:
                    self._finish(events, number, choice, reason, shown.get("stop_reason"))
        if usage := chunk.get("usage"):
            self._used(usage)
        if progress := chunk.get("prompt_progress"):
            numbers = (_count(progress[name]) for name in ("processed", "total", "cache"))
            events.append(self.progress(*numbers))
        return events

    def _delta(self, events: list[ChatEvent], number: int, choice: _Choice, delta: Json, logprobs: Any) -> None:
        before = len(events)
        content = delta.get("content")
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            self._think(events, number, choice, _words(thought))
        entries = entries_of(logprobs, self._asked.top) if logprobs else ()
        if type(content) is str:
            if content or entries:
                self._text(events, number, choice, content, entries)
        elif content:
            for part in content:
                self._part(events, number, choice, part)
        if pieces := delta.get("tool_calls"):
            self._close(events, number, choice)
            events += choice.calls.read(pieces, number)
        if len(events) > before:
            self._tick(choice, len(entries) or 1)

    def _text(self, events: list[ChatEvent], number: int, choice: _Choice, text: str, entries: Any) -> None:
        if choice.thinking:
            self._close(events, number, choice)
        if choice.prefix is not None:
            text = choice.prefix.without(text)
            if not text and not entries:
                return
        events.append(TextDelta(text, number, entries))

    def _think(self, events: list[ChatEvent], number: int, choice: _Choice, text: str) -> None:
        choice.thinking = True
        events.append(ThinkingDelta(text, number))

    def _part(self, events: list[ChatEvent], number: int, choice: _Choice, part: Any) -> None:
        """Of Mistral's content that is a list."""
        if isinstance(part, str):
            self._text(events, number, choice, part, ())
        elif part.get("type", "text") == "text":
            if part["text"]:
                self._text(events, number, choice, _words(part["text"]), ())
        elif part["type"] == "thinking":
            thought = "".join(each.get("text") or "" for each in part["thinking"])
            if thought:
                self._think(events, number, choice, thought)
            if part.get("closed"):
                self._close(events, number, choice)

    def _close(self, events: list[ChatEvent], number: int, choice: _Choice) -> None:
        if choice.thinking:
            choice.thinking = False
            events.append(ThinkingDelta("", number, closed=True))

    def _finish(self, events: list[ChatEvent], number: int, choice: _Choice, reason: str, stopped: Any) -> None:
        if reason not in _ENDS:
            raise Failed({"message": f"the answer ended with {reason!r}"}, down=reason == "error")
        self._close(events, number, choice)
        if choice.prefix is not None and (held := choice.prefix.held()):
            events.append(TextDelta(held, number))
        events += choice.calls.finish(number)
        end = _ENDS[reason]
        if end == "stop" and self._asked.forced and not choice.calls.called:  # some engines cannot be made to
            raise Strange("it made no call, and one was asked for")
        if end == "stop" and choice.calls.called:
            end = "tool_calls"
        choice.end = end
        self.open -= 1
        stop = stopped if isinstance(stopped, str) and stopped in self._asked.stop else None
        events.append(ChoiceFinished(end, number, stop))

    def _tick(self, choice: _Choice, tokens: int) -> None:
        now = time.perf_counter()
        if choice.first is None:
            choice.first = now
            if not self._again and self._meter.ttft_s is None:
                self._meter.ttft_s = now - self._started
        choice.last = now
        choice.pieces += tokens
        if self._usage is None:
            self.completion_tokens += tokens
            self._meter.completion_tokens = self._before + self.completion_tokens

    def _used(self, usage: Json) -> None:
        self._usage = usage
        self._count_prompt(usage["prompt_tokens"])
        self.completion_tokens = _count(usage.get("completion_tokens") or 0)
        self._meter.completion_tokens = self._before + self.completion_tokens
        details = usage.get("prompt_tokens_details") or {}
        cached = details.get("cached_tokens") or usage.get("num_cached_tokens") or 0
        if not self._again:
            self._meter.cached_tokens = _count(cached)

    def _count_prompt(self, tokens: Any) -> None:
        self.prompt_tokens = self._meter.prompt_tokens = _count(tokens)


def _words(text: Any) -> str:
    if not isinstance(text, str):
        raise Strange("it sent what is no part of an answer")
    return text


def _count(tokens: Any) -> int:
    """What the ledger and the prices can bear."""
    if not isinstance(tokens, int | float) or not 0 <= tokens < _MOST:
        raise Strange("it sent a count of tokens that is none")
    return int(tokens)
