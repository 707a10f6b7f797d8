"""POST /v1/fim/completions: Mistral's fill in the middle, answered in the shapes of chat."""

from typing import Any

from fastapi import APIRouter, Response

from ggufrun.api.calls.call import Begun
from ggufrun.api.calls.dialect import dialect_of
from ggufrun.api.calls.respond import respond
from ggufrun.api.conversation.chat import ChatForm
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.conversation.incoming import Body, given
from ggufrun.api.conversation.replies import ChatCompletion, answer_example, stream_example
from ggufrun.api.conversation.sampling import ModelName, Stop, options_of
from ggufrun.api.docs import answers
from ggufrun.chat.types import TextRequest

router = APIRouter()
_FOREIGN = ("seed", "top_k", "min_p")  # fields that the hosted API does not have


class FimBody(Body):
    """Code before and behind a gap. `seed`, `top_k` and `min_p` are ours; null means "not given"."""

    model: ModelName = ""
    prompt: str
    suffix: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stream: bool | None = None
    stop: Stop | None = None
    random_seed: int | None = None
    metadata: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    seed: int | None = None
    top_k: int | None = None
    min_p: float | None = None

    def to_request(self, *, fits: bool = False) -> TextRequest:
        options = options_of(self, seed=self.seed if self.random_seed is None else self.random_seed)
        return TextRequest(self.prompt, self.suffix or "", options, fits=fits)


@router.post(
    "/v1/fim/completions",
    tags=["code"],
    summary="Fill in the middle",
    responses=answers(ChatCompletion, answer_example("codestral", "a, b):\n    "), stream_example("codestral", "a, b")),
)
async def fim_completions(body: FimBody, call: Begun) -> Response:
    """What stands between `prompt` and `suffix`. A model without tokens for this is a 400."""
    call.dialect = dialect_of(call.request.headers)
    check_fields(body, call, given(body, _FOREIGN))
    request = body.to_request(fits=call.strict)
    return await respond(call, body.model, request, ChatForm(1), streamed=bool(body.stream))
