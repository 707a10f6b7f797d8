"""Chat events to the stream of OpenAI's Responses. Shapes only; no HTTP.

Each event has its name, which Mistral's SDK needs, and a number; no [DONE] follows, on which that SDK fails.
"""

import json
from collections.abc import Iterator
from typing import Any

from ggufrun.api.agents.parts import Begun, Ended, Grown, Part, Parts, Step
from ggufrun.api.agents.responses_answer import Reply, content, item_id, shown_logprobs, status_of
from ggufrun.chat.types import ChatEvent, PromptProcessed, Started


class ResponseStream:
    """Chat events to the lines of the stream."""

    last = ""

    def __init__(self, reply: Reply, given: str = "") -> None:
        self._reply, self._parts = reply, Parts(given)
        self._number = 0

    @property
    def id(self) -> str:
        return self._reply.id

    def lines(self, event: ChatEvent) -> Iterator[str]:
        for step in self._parts.read(event):
            yield from self._step(step)
        if isinstance(event, Started):
            for name in ("response.created", "response.in_progress"):
                yield self._event(name, response=self._reply.shown(self._parts))
        elif isinstance(event, PromptProcessed):
            yield f": {event.done} of {event.total} prompt tokens processed"
        elif self._parts.done is not None:
            yield self._event(f"response.{status_of(self._parts)}", response=self._reply.shown(self._parts))

    def failure(self, error: Exception) -> Iterator[str]:
        yield self._event("response.failed", response=self._reply.shown(self._parts, error))

    def _step(self, step: Step) -> Iterator[str]:
        match step:
            case Begun(part):
                shown = self._reply.item(part, "in_progress", empty=True)
                yield self._event("response.output_item.added", output_index=part.number, item=shown)
                if part.kind != "call":
                    yield self._inside("response.content_part.added", part, part=content(part, ""))
            case Grown(part, piece, entries):
                more = {"logprobs": shown_logprobs(entries)} if part.kind == "text" else {}
                yield self._inside(f"{_STREAMED[part.kind]}.delta", part, delta=piece, **more)
            case Ended(part):
                yield from self._end(part)

    def _end(self, part: Part) -> Iterator[str]:
        name, text = f"{_STREAMED[part.kind]}.done", part.text
        if part.kind == "call":
            called = self._reply.item(part, "completed")["name"]  # Mistral's SDK wants it here too
            yield self._inside(name, part, name=called, arguments=text)
        else:
            entries = tuple(part.logprobs)
            more = {"logprobs": shown_logprobs(entries)} if part.kind == "text" else {}
            yield self._inside(name, part, text=text, **more)
            yield self._inside("response.content_part.done", part, part=content(part, text, entries))
        shown = self._reply.item(part, status_of(self._parts))
        yield self._event("response.output_item.done", output_index=part.number, item=shown)

    def _inside(self, event: str, of: Part, **fields: Any) -> str:
        """An event within an item."""
        place = {} if of.kind == "call" else {"content_index": 0}
        return self._event(event, item_id=item_id(of), output_index=of.number, **place, **fields)

    def _event(self, kind: str, **fields: Any) -> str:
        data = json.dumps({"type": kind, "sequence_number": self._number, **fields}, ensure_ascii=False)
        self._number += 1
        return f"event: {kind}\ndata: {data}"


_STREAMED = {
    "text": "response.output_text",
    "thinking": "response.reasoning_text",
    "call": "response.function_call_arguments",
}
