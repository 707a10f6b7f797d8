"""POST /v1/chat/completions, in Mistral's and OpenAI's dialect."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from ggufrun.api.calls.call import Begun, Call
from ggufrun.api.calls.dialect import Dialect, dialect_of
from ggufrun.api.calls.respond import respond
from ggufrun.api.conversation.chat_body import ChatBody
from ggufrun.api.conversation.chat_stream import ChatStream
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.conversation.replies import ChatCompletion
from ggufrun.api.conversation.wire import ChatCompletionBody
from ggufrun.api.docs import answers

router = APIRouter()


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
    check_fields(body, call, body.foreign())
    request = body.to_request(strict_order=call.dialect is Dialect.MISTRAL, fits=call.strict)
    form = ChatForm(request.options.n, bool(body.stream_options and body.stream_options.include_usage))
    return await respond(call, body.model, request, form, streamed=bool(body.stream))
