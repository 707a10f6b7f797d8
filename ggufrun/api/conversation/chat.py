"""POST /v1/chat/completions, in Mistral's and OpenAI's dialect."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from ggufrun.api.calls.call import Begun, Call
from ggufrun.api.calls.dialect import Dialect, dialect_of
from ggufrun.api.calls.respond import respond
from ggufrun.api.conversation.chat_body import ChatBody
from ggufrun.api.conversation.chat_stream import ChatStream
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.conversation.replies import ChatCompletion, answer_example, stream_example
from ggufrun.api.conversation.wire import ChatCompletionBody
from ggufrun.api.docs import ESCALATES, answers
from ggufrun.chat.types import ModelInfo

router = APIRouter()
_MODEL = "mistral-medium-3.5"  # of the examples


@dataclass(frozen=True, slots=True)
class ChatForm:
    """How chat answers are written. `choices` is what was asked for, checked or not."""

    choices: int
    include_usage: bool = False

    def stream(self, call: Call, info: ModelInfo) -> ChatStream:
        return ChatStream(
            info.name, self.choices, call.dialect, include_usage=self.include_usage, price=info.price, meter=call.meter
        )

    def body(self, call: Call, info: ModelInfo) -> ChatBody:
        return ChatBody(info.name, self.choices, call.dialect, info.price, call.meter)


@router.post(
    "/v1/chat/completions",
    tags=["chat"],
    summary="Answer a conversation",
    responses=answers(ChatCompletion, answer_example(_MODEL, "Paris."), stream_example(_MODEL, "Paris")),
    openapi_extra=ESCALATES,
)
async def chat_completions(body: ChatCompletionBody, call: Begun) -> Response:
    """One answer, or with `stream: true` server-sent events that end with `data: [DONE]`."""
    call.dialect = dialect_of(call.request.headers, body.given())
    check_fields(body, call, body.foreign())
    request = body.to_request(strict_order=call.dialect is Dialect.MISTRAL, fits=call.strict)
    form = ChatForm(request.options.n, bool(body.stream_options and body.stream_options.include_usage))
    return await respond(call, body.model, request, form, streamed=bool(body.stream))
