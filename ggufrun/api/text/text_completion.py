"""Chat events to OpenAI's text_completion objects, whole and streamed. Shapes only; no HTTP."""

import codecs
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ggufrun.api.calls.dialect import Dialect
from ggufrun.api.calls.usage import Json, timings, usage, usage_of
from ggufrun.api.conversation.chat_stream import DONE, Envelope, finish_reason
from ggufrun.api.errors import envelope_of
from ggufrun.chat.types import (
    ChatEvent,
    ChoiceFinished,
    Completed,
    Logprob,
    Price,
    PromptProcessed,
    Started,
    TextDelta,
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

    def __init__(self, model: str, choices: int, price: Price | None = None) -> None:
        self._envelope, self._price = Envelope(model, _OBJECT), price
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
        return body | ({"usage": usage(done, self._price), "timings": timings(done)} if done else {})

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

    def __init__(self, model: str, choices: int, *, include_usage: bool = False, price: Price | None = None) -> None:
        self._envelope = Envelope(model, _OBJECT)
        self._include_usage, self._price = include_usage, price
        self._open = set(range(choices)) if choices <= 1024 else set()  # choices whose end has not come
        self._offsets: defaultdict[int, Offsets] = defaultdict(Offsets)
        self._ends: list[ChoiceFinished] = []  # ends that have not gone out
        self._prompt_tokens = self._cached_tokens = 0

    @property
    def id(self) -> str:
        return self._envelope.id

    def lines(self, event: ChatEvent) -> Iterator[str]:
        """Lines without the blank line behind each."""
        match event:
            case TextDelta(text, choice, entries):
                logprobs = legacy_logprobs(entries, self._offsets[choice]) if entries else None
                yield self._envelope.line([_piece(choice, text, logprobs)])
            case ChoiceFinished():
                self._open.discard(event.choice)
                self._ends.append(event)
            case Started():
                self._prompt_tokens = event.prompt_tokens
            case PromptProcessed():
                self._cached_tokens = event.cached
                yield f": {event.done} of {event.total} prompt tokens processed"
            case Completed():
                counts = usage(event, self._price)
                yield from self._last_chunks({"usage": counts, "timings": timings(event)})
                if self._include_usage:
                    yield self._envelope.line([], {"usage": counts})
            case _:  # raw prompts are answered with text only
                pass

    def failure(self, error: Exception) -> Iterator[str]:
        """What ends a stream that cannot go on; choices that did end keep their reason."""
        self._ends += [ChoiceFinished("error", choice) for choice in sorted(self._open)]
        counts = usage_of(self._prompt_tokens, 0, self._cached_tokens)
        yield from self._last_chunks({"usage": counts, "error": envelope_of(error)["error"]})

    def _last_chunks(self, extra: Json) -> Iterator[str]:
        for number, end in enumerate(self._ends, 1):
            piece = _piece(end.choice, "", None, finish_reason(end.reason, Dialect.OPENAI))
            yield self._envelope.line([piece], extra if number == len(self._ends) else None)
        self._ends = []


def _piece(choice: int, text: str, logprobs: Json | None, finish: str | None = None) -> Json:
    return {"index": choice, "text": text, "logprobs": logprobs, "finish_reason": finish}
