"""The response object of OpenAI's Responses, and the body of one whole answer. Shapes only; no HTTP."""

import time
import uuid
from typing import Any, Literal

from ggufrun.api.agents.parts import Part, Parts
from ggufrun.api.agents.responses_tools import Called
from ggufrun.api.calls.usage import Json, logprobs, timings
from ggufrun.api.errors import response_failure
from ggufrun.chat.types import ChatEvent, Logprob, ModelInfo

Status = Literal["in_progress", "completed", "incomplete", "failed"]


class Reply:
    """One response, as it stands. `echo` is what it was asked with."""

    def __init__(self, info: ModelInfo, echo: Json, called: Called) -> None:
        self.id = f"resp_{uuid.uuid4().hex}"
        self._info, self._echo, self._called, self._created = info, echo, called, int(time.time())

    def shown(self, parts: Parts, failure: Exception | None = None) -> Json:
        done = parts.done
        status: Status = "failed" if failure else "in_progress" if done is None else status_of(parts)
        output = [self.item(part, _item_status(part, parts, status)) for part in parts.all]
        reply: Json = {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": response_failure(failure) if failure else None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": self._info.name,
            "output": output,
            **self._echo,
            "usage": self._usage(parts),
        }
        return reply | ({"timings": timings(done)} if done else {})

    def item(self, part: Part, status: Status, *, empty: bool = False) -> Json:
        """An output item; `empty` as it begins."""
        if part.kind == "call":
            space, name = self._called.get(part.name, (None, part.name))
            named = {"call_id": part.id, "name": name, "arguments": "" if empty else part.text}
            call: Json = {"type": "function_call", "id": item_id(part), "status": status, **named}
            return call | ({"namespace": space} if space else {})
        inside = [] if empty else [content(part, part.text, tuple(part.logprobs))]
        if part.kind == "thinking":
            return {"type": "reasoning", "id": item_id(part), "status": status, "summary": [], "content": inside}
        return {"type": "message", "id": item_id(part), "status": status, "role": "assistant", "content": inside}

    def _usage(self, parts: Parts) -> Json | None:
        if parts.done is None:
            return None
        asked, said = parts.prompt_tokens, parts.done.completion_tokens
        counts: Json = {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": parts.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": 0},  # they are not counted apart
            "total_tokens": asked + said,
        }
        price = self._info.price
        return counts | ({"cost_usd": price.usd(asked, said)} if price else {})


class ResponseBody:
    """Collects the events of one answer."""

    def __init__(self, reply: Reply, given: str = "") -> None:
        self._reply, self._parts = reply, Parts(given)

    def add(self, event: ChatEvent) -> None:
        self._parts.read(event)

    def body(self) -> Json:
        return self._reply.shown(self._parts)


def status_of(parts: Parts) -> Status:
    return "incomplete" if parts.cut else "completed"


def item_id(part: Part) -> str:
    return {"call": "fc_", "thinking": "rs_", "text": "msg_"}[part.kind] + part.key


def content(part: Part, text: str, entries: tuple[Logprob, ...] = ()) -> Json:
    """The only content of a message or a thought."""
    if part.kind == "thinking":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": shown_logprobs(entries)}


def shown_logprobs(entries: tuple[Logprob, ...]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = logprobs(entries)["content"]
    return shown


def _item_status(part: Part, parts: Parts, status: Status) -> Status:
    """Only the last one can have been cut."""
    if part is parts.all[-1] and (part.open or status == "incomplete"):
        return "incomplete"
    return "completed"
