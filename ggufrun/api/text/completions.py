"""POST /v1/completions: OpenAI's first API. Raw prompts are gone on from, in no chat format."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from ggufrun.api.calls.call import Begun, Call
from ggufrun.api.calls.dialect import Dialect
from ggufrun.api.calls.respond import respond
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.conversation.replies import Usage
from ggufrun.api.conversation.sampling import ModelName, Stop, options_of
from ggufrun.api.conversation.wire import StreamOptions
from ggufrun.api.docs import answers
from ggufrun.api.text.inputs import Inputs
from ggufrun.api.text.text_completion import TextBody, TextStream
from ggufrun.chat.types import ChatOptions, ModelInfo, TextRequest
from ggufrun.errors import OutOfRange, Unsupported

router = APIRouter()
MAX_PROMPTS: Final = 64
_MAX_TOKENS: Final = 16  # OpenAI's default
_EXAMPLE: dict[str, Any] = {
    "id": "3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f",
    "object": "text_completion",
    "created": 1777550400,
    "model": "mistral-medium-3.5",
    "choices": [{"index": 0, "text": " Paris.", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9},
    "timings": {"ttft_ms": 41.2, "tokens_per_second": 38.5},
}
_STREAM = (
    'data: {"id": "3f1e…", "object": "text_completion", "created": 1777550400, "model": "mistral-medium-3.5",'
    ' "choices": [{"index": 0, "text": " Paris", "logprobs": null, "finish_reason": null}]}\n\ndata: [DONE]\n\n'
)


class TextChoice(BaseModel):
    index: int
    text: str
    logprobs: dict[str, Any] | None = None
    finish_reason: Literal["stop", "length", "error"]


class TextCompletion(BaseModel):
    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage
    timings: dict[str, Any]


class CompletionBody(Body):
    """OpenAI's fields, then ours. Several prompts give several choices: `n` for each, in order."""

    model: ModelName = ""
    prompt: Inputs
    suffix: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    best_of: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: int | None = None
    echo: bool | None = None
    stop: Stop | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    seed: int | None = None
    user: str | None = None
    top_k: int | None = None
    min_p: float | None = None
    min_tokens: int | None = None
    repetition_penalty: float | None = None

    def to_requests(self) -> tuple[TextRequest, ...]:
        """One for each prompt. Raises RequestError for what cannot be done."""
        self._refuse()
        options, suffix = self._options(), self.suffix or None  # nothing behind the gap: there is none
        return tuple(TextRequest(each, suffix, options, echo=bool(self.echo)) for each in self._prompts())

    def _prompts(self) -> tuple[str | tuple[int, ...], ...]:
        given = self.prompt
        if isinstance(given, str):
            return (given,)
        prompts = tuple(each for each in given if not isinstance(each, int))
        if not prompts:  # token ids
            return (tuple(each for each in given if isinstance(each, int)),)
        if len(prompts) > MAX_PROMPTS:
            raise OutOfRange(f"There are {len(prompts)} prompts.", f"Send at most {MAX_PROMPTS} at once.", "prompt")
        return prompts

    def _refuse(self) -> None:
        if self.best_of is not None and self.best_of != (self.n or 1):
            hint = "Leave best_of out, or ask for all of them with n."
            raise Unsupported("The best of several answers is not chosen here.", hint, "best_of")
        if self.echo and self.logprobs is not None:
            raise Unsupported("Logprobs of the prompt are not supported.", "Leave echo or logprobs out.", "echo")

    def _options(self) -> ChatOptions:
        most = _MAX_TOKENS if self.max_tokens is None else self.max_tokens
        return options_of(self, max_tokens=most, logprobs=self.logprobs)


@dataclass(frozen=True, slots=True)
class TextForm:
    """How raw prompts are answered. `choices` over all prompts, checked or not."""

    choices: int
    include_usage: bool = False

    def stream(self, call: Call, info: ModelInfo) -> TextStream:
        return TextStream(info.name, self.choices, include_usage=self.include_usage, price=info.price, meter=call.meter)

    def body(self, call: Call, info: ModelInfo) -> TextBody:
        return TextBody(info.name, self.choices, info.price, call.meter)


@router.post(
    "/v1/completions",
    tags=["text"],
    summary="Go on from raw text",
    responses=answers(TextCompletion, _EXAMPLE, _STREAM),
)
async def completions(body: CompletionBody, call: Begun) -> Response:
    """The text that follows each prompt; with `suffix`, what stands between."""
    call.dialect = Dialect.OPENAI
    check_fields(body, call)
    requests = body.to_requests()
    form = TextForm(
        len(requests) * requests[0].options.n, bool(body.stream_options and body.stream_options.include_usage)
    )
    asked = requests if len(requests) > 1 else requests[0]
    return await respond(call, body.model, asked, form, streamed=bool(body.stream))
