"""POST /v1/responses and /v1/responses/input_tokens: OpenAI's Responses, without its state: nothing is stored here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from ggufrun.api.agents.parts import given_answer
from ggufrun.api.agents.replies import ResponseInputTokens, ResponseReply
from ggufrun.api.agents.responses_answer import Reply, ResponseBody
from ggufrun.api.agents.responses_body import ResponsesBody
from ggufrun.api.agents.responses_stream import ResponseStream
from ggufrun.api.agents.responses_tools import called_names
from ggufrun.api.calls.call import Begun, Call
from ggufrun.api.calls.respond import respond
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.docs import ESCALATES, Responses, answers, errors
from ggufrun.chat.types import ModelInfo
from ggufrun.errors import RequestError

router = APIRouter()

_EXAMPLE = {
    "id": "resp_3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f",
    "object": "response",
    "created_at": 1777550400,
    "status": "completed",
    "model": "mistral-medium-3.5",
    "output": [
        {
            "type": "message",
            "id": "msg_0c9a8b4c5d8e7f6a5b4c3d2e1f3f1e0d",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Paris.", "annotations": [], "logprobs": []}],
        }
    ],
    "error": None,
    "incomplete_details": None,
    "usage": {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    },
    "timings": {"ttft_ms": 41.2, "tokens_per_second": 38.5},
}
_STREAM = (
    'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", "sequence_number": 4,'
    ' "item_id": "msg_0c9a…", "output_index": 0, "content_index": 0, "delta": "Paris", "logprobs": []}\n\n'
)
_COUNTED: Responses = {
    200: {
        "model": ResponseInputTokens,
        "content": {"application/json": {"example": {"object": "response.input_tokens", "input_tokens": 12}}},
    },
    **errors(400, 401, 403, 413, 422, 429, 503),
}
_NAMES = {"messages": "input", "response_format": "text.format", "max_tokens": "max_output_tokens"}


@dataclass(frozen=True, slots=True)
class ResponseForm:
    """How responses are written; `given` is the beginning of the answer that the request ends with."""

    asked: ResponsesBody
    given: str

    def stream(self, call: Call, info: ModelInfo) -> ResponseStream:
        return ResponseStream(self._reply(info), self.given)

    def body(self, call: Call, info: ModelInfo) -> ResponseBody:
        return ResponseBody(self._reply(info), self.given)

    def _reply(self, info: ModelInfo) -> Reply:
        return Reply(info, self.asked.echo(info), called_names(self.asked.tools or ()))


@router.post(
    "/v1/responses",
    tags=["agents"],
    summary="Answer a conversation, in OpenAI's Responses API",
    responses=answers(ResponseReply, _EXAMPLE, _STREAM),
    openapi_extra=ESCALATES,
)
async def responses(body: ResponsesBody, call: Begun) -> Response:
    """One answer, or with `stream: true` server-sent events; a stream's last event has the whole response."""
    check_fields(body, call)
    with _own_names():
        request = body.to_request()
        form = ResponseForm(body, given_answer(request))
        return await respond(call, body.model, request, form, streamed=bool(body.stream))


@router.post(
    "/v1/responses/input_tokens",
    tags=["agents"],
    summary="Count a response's input tokens",
    responses=_COUNTED,
)
async def count_input_tokens(body: ResponsesBody, call: Begun) -> dict[str, Any]:
    """The tokens of the prompt that /v1/responses would make of the same body."""
    check_fields(body, call)
    with _own_names():
        request = body.to_request()
        async with call.model(body.model) as model:
            return {"object": "response.input_tokens", "input_tokens": await call.gateway.images.count(model, request)}


@contextmanager
def _own_names() -> Iterator[None]:
    """Errors name the chat's fields; some of them have other names here."""
    try:
        yield
    except RequestError as error:
        error.param = _NAMES.get(error.param or "", error.param)
        raise
