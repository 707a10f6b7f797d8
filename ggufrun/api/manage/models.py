"""GET /v1/models, GET /v1/models/{id} and GET /health: what is served."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from ggufrun.api.calls.call import Caller
from ggufrun.api.conversation.replies import ModelCard, ModelList
from ggufrun.api.conversation.sampling import SAME
from ggufrun.api.docs import errors
from ggufrun.api.gateway import Gateway, gateway_of
from ggufrun.errors import ModelNotFound, UnknownModel
from ggufrun.pool.served import ServedModel

router = APIRouter()
_started = int(time.time())
_Gateway = Annotated[Gateway, Depends(gateway_of)]


@router.head("/health", include_in_schema=False)
@router.get("/health", tags=["server"], summary="Whether the server answers")
async def health() -> Mapping[str, str]:
    return {"status": "ok"}


@router.get(
    "/v1/models",
    tags=["models"],
    summary="List the models",
    responses={200: {"model": ModelList}, **errors(401)},
)
async def list_models(gateway: _Gateway, key: Caller) -> Mapping[str, Any]:
    """Those that the key may use."""
    return {"object": "list", "data": [card(model) for model in gateway.visible(key)]}


@router.get(
    "/v1/models/{id:path}",
    tags=["models"],
    summary="One model",
    responses={200: {"model": ModelCard}, **errors(401, 404)},
)
async def retrieve_model(id: str, gateway: _Gateway, key: Caller) -> Mapping[str, Any]:
    """The model by its name or one of its aliases."""
    try:
        found = gateway.find(id, key)
        if key is not None and not key.may_use(found.names):
            raise UnknownModel(id, [model.info.name for model in gateway.visible(key)])
        return card(found)
    except UnknownModel as error:
        raise ModelNotFound(id, error.served) from error


def card(model: ServedModel) -> dict[str, Any]:
    """A model as Mistral's SDKs want it (`type`, `capabilities`); OpenAI's read less."""
    info, able = model.info, model.info.capabilities
    return {
        "id": info.name,
        "object": "model",
        "created": _started,
        "owned_by": "ggufrun",
        "type": "base",
        "name": info.name,
        "description": info.description,
        "max_context_length": info.context,
        "aliases": list(info.aliases),
        "deprecation": None,
        "default_model_temperature": info.defaults.temperature,
        "default_sampling": {name: value for name in SAME if (value := getattr(info.defaults, name)) is not None},
        "capabilities": {
            "completion_chat": able.chat,
            "function_calling": able.tools,
            "reasoning": able.reasoning,
            "completion_fim": able.fim,
            "vision": able.vision,
            "embeddings": able.embeddings,
            "fine_tuning": False,
            "classification": False,
            "ocr": False,
            "moderation": False,
            "audio": False,
            "audio_transcription": False,
        },
    }
