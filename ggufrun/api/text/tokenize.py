"""POST /v1/tokenize: a conversation's or a text's tokens, counted as `usage.prompt_tokens` will be."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ggufrun.api.calls.call import Begun
from ggufrun.api.calls.dialect import Dialect, dialect_of
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.conversation.incoming import IncomingMessage
from ggufrun.api.conversation.wire import ChatCompletionBody
from ggufrun.api.docs import Responses, errors
from ggufrun.chat.types import AnyRequest, TextRequest
from ggufrun.errors import RequestError

router = APIRouter()
_EXAMPLE = {"tokens": [1, 3, 22177, 4], "count": 4, "model": "mistral-medium-3.5"}


class TokenizeBody(ChatCompletionBody):
    """A chat request's body, or `text`, which is in no chat format and has BOS with `add_special` only."""

    messages: tuple[IncomingMessage, ...] = ()
    text: str | None = None
    add_special: bool | None = None

    def asked(self, *, strict_order: bool) -> AnyRequest:
        """Raises RequestError where it is not clear what to count."""
        if (self.text is None) == ("messages" not in self.model_fields_set):
            raise RequestError("Give messages or text, one of them.", "", "messages")
        if self.text is not None:
            return TextRequest(self.text, bos=bool(self.add_special))
        return self.to_request(strict_order=strict_order)


class Tokenized(BaseModel):
    tokens: list[int]
    count: int
    model: str


_RESPONSES: Responses = {
    200: {"model": Tokenized, "content": {"application/json": {"example": _EXAMPLE}}},
    **errors(400, 401, 403, 413, 422, 429, 503),
}


@router.post("/v1/tokenize", tags=["text"], summary="Count tokens", responses=_RESPONSES)
async def tokenize(body: TokenizeBody, call: Begun) -> dict[str, Any]:
    """The prompt that /v1/chat/completions would make of the same body, as token ids."""
    call.dialect = dialect_of(call.request.headers, body.given())
    check_fields(body, call)
    request = body.asked(strict_order=call.dialect is Dialect.MISTRAL)
    async with call.model(body.model) as model:
        tokens = await model.tokens(await call.gateway.images.brought(request, model.info))
        return {"tokens": list(tokens), "count": len(tokens), "model": model.info.name}
