"""Chat events to OpenAI's text_completion objects, whole and streamed. Shapes only; no HTTP."""

import codecs
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ggufrun.api.calls.dialect import Dialect
from ggufrun.api.calls.usage import Json, routed, timings, usage
from ggufrun.api.conversation.chat_stream import DONE, Envelope, finish_reason
from ggufrun.api.conversation.stream_end import StreamEnd
from ggufrun.chat.types import (
    ChatEvent,
    ChoiceFinished,
    Completed,
    Logprob,
    Meter,
    Price,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)

_OBJECT = "text_completion"
_new_decoder = codecs.getincrementaldecoder("utf-8")


class Offsets:
    """Where each token of one choice begins in its text, in characters. Bytes of one character share its place."""

    def __init__(self) -> None:
        self._at = 0
        self._decoder = _new_decoder("replace")

    def of(self, entries: Sequence[Logprob]) -> list[int]:
        places = []
        for entry in entries:
            places.append(self._at)
            self._at += len(self._decoder.decode(entry.raw))
        return places


def legacy_logprobs(entries: Sequence[Logprob], offsets: Offsets) -> Json:
    """The four lists of OpenAI's first API."""
    return {
        "tokens": [entry.token for entry in entries],
        "token_logprobs": [entry.logprob for entry in entries],
        "top_logprobs": [{top.token: top.logprob for top in entry.top} for entry in entries],
        "text_offset": offsets.of(entries),
    }


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list)
    logprobs: list[Logprob] = field(default_factory=list)
    reason: str = "stop"


class TextBody:
    """Collects the events of one answer."""

    def __init__(self, model: str, choices: int, price: Price | None = None, meter: Meter | None = None) -> None:
        self._envelope, self._price, self._meter = Envelope(model, _OBJECT), price, meter or Meter()
        self._count = choices  # not checked yet: nothing may be made of this size
        self._choices: defaultdict[int, _Choice] = defaultdict(_Choice)
        self._done: Completed | None = None

    def add(self, event: ChatEvent) -> None:
        if isinstance(event, TextDelta):
            self._choices[event.choice].text.append(event.text)
            self._choices[event.choice].logprobs += event.logprobs
        elif isinstance(event, ChoiceFinished):
            self._choices[event.choice].reason = finish_reason(event.reason, Dialect.OPENAI)
        elif isinstance(event, Completed):
            self._done = event

    def body(self) -> Json:
        of = self._envelope
        body: Json = {"id": of.id, "object": _OBJECT, "created": of.created, "model": of.model}
        body["choices"] = [self._shown(index, self._choices[index]) for index in range(self._count)]
        done = self._done
        body |= {"usage": usage(done, self._price), "timings": timings(done)} if done else {}
        return body | routed(self._meter)

    def _shown(self, index: int, choice: _Choice) -> Json:
        logprobs = legacy_logprobs(choice.logprobs, Offsets()) if choice.logprobs else None
        return {
            "index": index,
            "text": "".join(choice.text),
            "logprobs": logprobs,
            "finish_reason": choice.reason,
        }


class TextStream:
    """Chat events to the lines of the stream. Ends wait for the usage, which the last one carries."""

    last = DONE

    def __init__(
        self,
        model: str,
        choices: int,
        *,
        include_usage: bool = False,
        price: Price | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._envelope = Envelope(model, _OBJECT)
        self._end = StreamEnd(
            choices, self._envelope.line, _ending, meter or Meter(), price, include_usage=include_usage
        )
        self._offsets: defaultdict[int, Offsets] = defaultdict(Offsets)

    @property
    def id(self) -> str:
        return self._envelope.id

    def lines(self, event: ChatEvent) -> Iterator[str]:
        """Lines without the blank line behind each."""
        match event:
            case TextDelta(text, choice, entries):
                logprobs = legacy_logprobs(entries, self._offsets[choice]) if entries else None
                yield self._envelope.line([_piece(choice, text, logprobs)])
            case ThinkingDelta() | ToolCallDelta():  # raw prompts are answered with text only
                pass
            case _:
                yield from self._end.lines(event)

    def failure(self, error: Exception) -> Iterator[str]:
        return self._end.failure(error)


def _ending(end: ChoiceFinished) -> Json:
    return _piece(end.choice, "", None, finish_reason(end.reason, Dialect.OPENAI))


def _piece(choice: int, text: str, logprobs: Json | None, finish: str | None = None) -> Json:
    return {"index": choice, "text": text, "logprobs": logprobs, "finish_reason": finish}
