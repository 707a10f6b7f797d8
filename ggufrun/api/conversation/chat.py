"""POST /v1/chat/completions, in Mistral's and OpenAI's dialect."""

import logging
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from fastapi.exceptions import RequestValidationError

from ggufrun.api.calls.call import Begun, Call
from ggufrun.api.calls.dialect import Dialect, dialect_of
from ggufrun.api.calls.respond import respond
from ggufrun.api.conversation.chat_body import ChatBody
from ggufrun.api.conversation.chat_stream import ChatStream
from ggufrun.api.conversation.incoming import Body, extras
from ggufrun.api.conversation.replies import ChatCompletion
from ggufrun.api.conversation.wire import OPENAI_FIELDS, ChatCompletionBody
from ggufrun.api.docs import answers
from ggufrun.errors import OutOfRange

HOTTEST = 1.5  # what the hosted API takes
router = APIRouter()
_log = logging.getLogger(__name__)
_warned: set[str] = set()  # unknown fields that the log has named


@dataclass(frozen=True, slots=True)
class ChatForm:
    """How chat answers are written. `choices` is what was asked for, checked or not."""

    choices: int
    include_usage: bool = False

    def stream(self, call: Call) -> ChatStream:
        assert call.info is not None
        info = call.info
        return ChatStream(
            info.name, self.choices, call.dialect, include_usage=self.include_usage, price=info.price, meter=call.meter
        )

    def body(self, call: Call) -> ChatBody:
        assert call.info is not None
        return ChatBody(call.info.name, self.choices, call.dialect, call.info.price)


_EXAMPLE = {
    "id": "3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f",
    "object": "chat.completion",
    "created": 1777550400,
    "model": "mistral-medium-3.5",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Paris.", "tool_calls": None, "prefix": False},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    "timings": {"ttft_ms": 41.2, "tokens_per_second": 38.5},
}
_STREAM = (
    'data: {"id": "3f1e…", "object": "chat.completion.chunk", "created": 1777550400, "model": "mistral-medium-3.5",'
    ' "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Paris"}, "finish_reason": null}]}\n\n'
    "data: [DONE]\n\n"
)


@router.post(
    "/v1/chat/completions",
    tags=["chat"],
    summary="Answer a conversation",
    responses=answers(ChatCompletion, _EXAMPLE, _STREAM),
)
async def chat_completions(body: ChatCompletionBody, call: Begun) -> Response:
    """One answer, or with `stream: true` server-sent events that end with `data: [DONE]`."""
    call.dialect = dialect_of(call.request.headers, body.given())
    check_fields(body, call, OPENAI_FIELDS)
    request = body.to_request(strict_order=call.dialect is Dialect.MISTRAL)
    form = ChatForm(request.options.n, bool(body.stream_options and body.stream_options.include_usage))
    return await respond(call, body.model, request, form, streamed=bool(body.stream))


def check_fields(body: Body, call: Call, foreign: tuple[str, ...] = ()) -> None:
    """With --strict, refuse the fields that the hosted API does not know, `foreign` among them; else warn once."""
    unknown = list(extras(body))
    if not call.strict:
        for name in {".".join(str(part) for part in at if isinstance(part, str)) for at in unknown} - _warned:
            if len(_warned) < 1000:
                _warned.add(name)
                path = call.request.url.path  # the name comes from outside: nobody writes a line of their own
                _log.warning("The field %.200a of %s is not known and was ignored.", name, path)
        return
    unknown += [(name,) for name in foreign if getattr(body, name, None) is not None]
    temperature = getattr(body, "temperature", None)
    if temperature is not None and temperature > HOTTEST:
        raise OutOfRange(f"temperature is {temperature}.", f"The hosted API allows 0 to {HOTTEST}.", "temperature")
    if unknown:
        raise RequestValidationError([_forbidden(at) for at in unknown])


def _forbidden(at: tuple[str | int, ...]) -> dict[str, Any]:
    return {"type": "extra_forbidden", "loc": ("body", *at), "msg": "Extra inputs are not permitted"}
