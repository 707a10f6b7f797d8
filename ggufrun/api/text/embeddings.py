"""POST /v1/embeddings, in Mistral's and OpenAI's dialect."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from ggufrun.api.calls.call import Begun, Call
from ggufrun.api.calls.dialect import dialect_of
from ggufrun.api.calls.event_stream import unless_left
from ggufrun.api.calls.usage import usage_of
from ggufrun.api.conversation.fields import check_fields
from ggufrun.api.conversation.incoming import Body, given
from ggufrun.api.conversation.replies import Usage
from ggufrun.api.conversation.sampling import ModelName
from ggufrun.api.docs import Responses, errors
from ggufrun.api.text.inputs import Inputs
from ggufrun.api.text.vectors import OutputType, VectorForm
from ggufrun.chat.types import Embeddings, TextRequest
from ggufrun.errors import OutOfRange

MOST_INPUTS: Final = 2048  # of one request
router = APIRouter()
_FOREIGN = ("dimensions", "user")  # fields that the hosted API does not have
_EXAMPLE: dict[str, Any] = {
    "id": "3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f",
    "object": "list",
    "model": "nomic-embed-text-v1.5",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0123, -0.0456, 0.0789]}],
    "usage": {"prompt_tokens": 6, "completion_tokens": 0, "total_tokens": 6},
}


class EmbeddingsBody(Body):
    """Texts, or token ids of the model's own vocabulary, taken as they are. `dimensions` is OpenAI's name of
    `output_dimension`. null means "not given".
    """

    model: ModelName = ""
    input: Inputs = Field(examples=[["The first text.", "The second one."]])
    output_dimension: int | None = None
    dimensions: int | None = None
    output_dtype: OutputType | None = None
    encoding_format: Literal["float", "base64"] | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None

    def inputs(self) -> Sequence[str | tuple[int, ...]]:
        """Raises OutOfRange for none, and for too many."""
        given = self.input
        if isinstance(given, str):
            return (given,)
        if not given:
            raise OutOfRange("input is an empty list.", "Send at least one text.", "input")
        tokens = tuple(each for each in given if isinstance(each, int))
        if tokens:
            return (tokens,)
        if len(given) > MOST_INPUTS:
            raise OutOfRange(f"input has {len(given)} texts.", f"Send at most {MOST_INPUTS} at once.", "input")
        return tuple(each for each in given if not isinstance(each, int))

    def form(self) -> VectorForm:
        ours = self.output_dimension is not None
        return VectorForm(
            dimensions=self.output_dimension if ours else self.dimensions,
            dimensions_field="output_dimension" if ours else "dimensions",
            type=self.output_dtype or "float",
            as_base64=self.encoding_format == "base64",
        )


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | list[int] | str = Field(description="base64 where `encoding_format` asks for it")


class EmbeddingsReply(BaseModel):
    id: str
    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: Usage


_RESPONSES: Responses = {
    200: {"model": EmbeddingsReply, "content": {"application/json": {"example": _EXAMPLE}}},
    **errors(),
}


@router.post("/v1/embeddings", tags=["text"], summary="Turn texts into vectors", responses=_RESPONSES)
async def embeddings(body: EmbeddingsBody, call: Begun) -> Response:
    """One vector of unit length for each text, so that dot products are cosines. A chat model makes none: a 400."""
    call.dialect = dialect_of(call.request.headers)
    check_fields(body, call, given(body, _FOREIGN))
    inputs, form = body.inputs(), body.form()
    call.ask(tuple(TextRequest(each) for each in inputs))
    async with call.model(body.model) as model:
        if model.info.capabilities.embeddings:
            form.check(model.info.dimensions)
        made = await unless_left(call.request.receive, model.embed(inputs))
        call.meter.prompt_tokens = sum(made.tokens)
        content = await asyncio.to_thread(_reply, call, model.info.name, made, form)
    call.close(200, "stop")
    return Response(content, media_type="application/json", headers=call.cost_headers())


def _reply(call: Call, model: str, made: Embeddings, form: VectorForm) -> bytes:
    written = enumerate(map(form.written, made.vectors))
    price = call.info.price if call.info else None
    return to_json(
        {
            "id": uuid.uuid4().hex,
            "object": "list",
            "model": model,
            "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in written],
            "usage": usage_of(sum(made.tokens), 0, 0, price),
        }
    )
