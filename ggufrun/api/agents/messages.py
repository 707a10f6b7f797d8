"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's API, for agents that speak nothing else."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response, Security
from fastapi.security import APIKeyHeader

from ggufrun.api.agents.messages_answer import MessageBody, MessageStream
from ggufrun.api.agents.messages_body import MessagesBody
from ggufrun.api.agents.parts import given_answer
from ggufrun.api.agents.replies import AnthropicErrorReply, AnthropicReply, InputTokens
from ggufrun.api.calls.call import Begun, Call
from ggufrun.api.calls.respond import respond
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.docs import ESCALATES, Responses, answers, errors, example
from ggufrun.api.errors import anthropic_envelope
from ggufrun.chat.types import ModelInfo

# For the document: `authorized` reads the header everywhere.
_header = APIKeyHeader(name="x-api-key", auto_error=False, description="Where Anthropic's clients send the key.")
router = APIRouter(dependencies=[Security(_header)])

_EXAMPLE = {
    "id": "msg_3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f",
    "type": "message",
    "role": "assistant",
    "model": "mistral-medium-3.5",
    "content": [{"type": "text", "text": "Paris."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 3,
    },
    "timings": {"ttft_ms": 41.2, "tokens_per_second": 38.5},
}
_STREAM = (
    'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0,'
    ' "delta": {"type": "text_delta", "text": "Paris"}}\n\n'
    'event: message_stop\ndata: {"type": "message_stop"}\n\n'
)


def _error(status: int) -> dict[str, Any]:
    return anthropic_envelope(example(status), status, "3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f")


def _errors(*statuses: int) -> Responses:
    return errors(*statuses, reply=AnthropicErrorReply, example=_error)


_COUNTED: Responses = {
    200: {"model": InputTokens, "content": {"application/json": {"example": {"input_tokens": 12}}}},
    **_errors(400, 401, 403, 413, 422, 429, 500, 503),
}


@dataclass(frozen=True, slots=True)
class MessageForm:
    """How messages are written; `given` is the beginning of the answer that the request ends with."""

    given: str

    def stream(self, call: Call, info: ModelInfo) -> MessageStream:
        return MessageStream(info, self.given, call.id)

    def body(self, call: Call, info: ModelInfo) -> MessageBody:
        return MessageBody(info, self.given)


@router.post(
    "/v1/messages",
    tags=["agents"],
    summary="Answer a conversation, in Anthropic's API",
    responses=answers(AnthropicReply, _EXAMPLE, _STREAM) | _errors(),
    openapi_extra=ESCALATES,
)
async def messages(body: MessagesBody, call: Begun) -> Response:
    """One answer, or with `stream: true` server-sent events. The key may come as `x-api-key`."""
    check_fields(body, call)
    request = body.to_request()
    form = MessageForm(given_answer(request))
    response = await respond(call, body.model, request, form, streamed=bool(body.stream))
    response.headers["request-id"] = call.id  # where Anthropic's SDKs look for it
    return response


@router.post(
    "/v1/messages/count_tokens",
    tags=["agents"],
    summary="Count a message's tokens, in Anthropic's API",
    responses=_COUNTED,
)
async def count_message_tokens(body: MessagesBody, call: Begun) -> dict[str, int]:
    """The tokens of the prompt that /v1/messages would make of the same body, whether or not any are cached."""
    check_fields(body, call)
    request = body.to_request()
    async with call.model(body.model) as model:
        return {"input_tokens": await call.gateway.images.count(model, request)}
