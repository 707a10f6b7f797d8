"""Chat events to Anthropic's message, whole and streamed. Shapes only; no HTTP."""

import json
import uuid
from collections.abc import Iterator
from typing import Any, Final

from ggufrun.api.agents.parts import Begun, Ended, Grown, Part, Parts, Step
from ggufrun.api.calls.usage import Json, timings
from ggufrun.api.errors import anthropic_envelope, envelope_of, reply_to
from ggufrun.chat.tool_history import tool_arguments
from ggufrun.chat.types import ChatEvent, ChoiceEnd, ModelInfo, PromptProcessed, Started

_REASONS: Final[dict[ChoiceEnd, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "model_length": "model_context_window_exceeded",
    "tool_calls": "tool_use",
}
_DELTAS: Final = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
_PING: Final = 'event: ping\ndata: {"type": "ping"}'


class MessageBody:
    """Collects the events of one answer."""

    def __init__(self, info: ModelInfo, given: str = "") -> None:
        self._info, self._parts = info, Parts(given)

    def add(self, event: ChatEvent) -> None:
        self._parts.read(event)

    def body(self) -> Json:
        parts = self._parts
        content = [_block(part) for part in parts.all]
        shown = _message(_new_id(), self._info.name, content) | stopped(parts) | {"usage": usage(parts, self._info)}
        return shown | ({"timings": timings(parts.done)} if parts.done else {})


class MessageStream:
    """Chat events to the lines of the stream."""

    last = ""

    def __init__(self, info: ModelInfo, given: str = "", request_id: str = "") -> None:
        self.id = _new_id()
        self._info, self._parts, self._request_id = info, Parts(given), request_id

    def lines(self, event: ChatEvent) -> Iterator[str]:
        for step in self._parts.read(event):
            yield _line(step)
        parts = self._parts
        if isinstance(event, Started):
            message = _message(self.id, self._info.name, []) | stopped(parts) | {"usage": usage(parts, self._info)}
            yield _event("message_start", message=message)
        elif isinstance(event, PromptProcessed):
            yield _PING
        elif parts.done is not None:
            counts = {"usage": usage(parts, self._info), "timings": timings(parts.done)}
            yield _event("message_delta", delta=stopped(parts), **counts)
            yield _event("message_stop")

    def failure(self, error: Exception) -> Iterator[str]:
        shown = anthropic_envelope(envelope_of(error), reply_to(error).status, self._request_id)
        yield f"event: error\ndata: {json.dumps(shown, ensure_ascii=False)}"


def usage(parts: Parts, info: ModelInfo) -> Json:
    """`input_tokens` are those that were computed; those of the cache are counted beside them."""
    generated = parts.done.completion_tokens if parts.done else 0
    counts: Json = {
        "input_tokens": parts.prompt_tokens - parts.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": parts.cached_tokens,
        "output_tokens": generated,
    }
    cost = info.price.usd(parts.prompt_tokens, generated) if info.price and parts.done else None
    return counts if cost is None else counts | {"cost_usd": cost}


def stopped(parts: Parts) -> Json:
    """Why the answer ended; nulls while it has not."""
    end = parts.end
    if end is None:
        return {"stop_reason": None, "stop_sequence": None}
    if end.stop is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": end.stop}
    return {"stop_reason": _REASONS.get(end.reason, "end_turn"), "stop_sequence": None}


def _new_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


def _message(id: str, model: str, content: list[Json]) -> Json:
    return {"id": id, "type": "message", "role": "assistant", "model": model, "content": content}


def _block(part: Part) -> Json:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind == "thinking":
        return {"type": "thinking", "thinking": part.text, "signature": ""}
    return {"type": "tool_use", "id": part.id, "name": part.name, "input": tool_arguments(part.text)}


def _line(step: Step) -> str:
    index = step.part.number
    match step:
        case Begun(part):
            empty = Part(part.kind, index, id=part.id, name=part.name)
            return _event("content_block_start", index=index, content_block=_block(empty))
        case Grown(part, piece):
            if part.kind == "call":
                delta = {"type": "input_json_delta", "partial_json": piece}
            else:
                kind, name = _DELTAS[part.kind]
                delta = {"type": kind, name: piece}
            return _event("content_block_delta", index=index, delta=delta)
        case Ended():
            return _event("content_block_stop", index=index)


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}"
