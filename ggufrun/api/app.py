"""The HTTP application over one chat model: routes, and errors in the envelope that both dialects read."""

import time
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ggufrun.api.completions import answer, stream
from ggufrun.api.errors import envelope, error_response, validation_response
from ggufrun.api.wire import ChatCompletionBody
from ggufrun.chat.types import ChatModel
from ggufrun.errors import GgufrunError


def create_app(model: ChatModel) -> FastAPI:
    """An ASGI application that answers for `model`; the caller opens and closes the model."""
    app = FastAPI(title="ggufrun", docs_url=None, redoc_url=None)
    started = int(time.time())

    @app.get("/health")
    async def health() -> Mapping[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> Mapping[str, Any]:
        return {"object": "list", "data": [_card(model, started)]}

    @app.post("/v1/chat/completions")
    async def chat_completions(body: ChatCompletionBody, request: Request) -> Response:
        return await (stream if body.stream else answer)(model, body, request)

    @app.exception_handler(GgufrunError)
    async def refused(_: Request, error: Exception) -> Response:
        return error_response(error)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        # Starlette raises the error again behind this answer: the server logs it and closes the connection.
        response = error_response(error)
        response.headers["Connection"] = "close"
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> Response:
        return validation_response(list(error.errors()) if isinstance(error, RequestValidationError) else [])

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = f"{request.method} {request.url.path} is not served here."
        text = said if status in (404, 405) else str(getattr(error, "detail", error))
        return JSONResponse(envelope(text, "invalid_request_error"), status)

    return app


def _card(model: ChatModel, started: int) -> dict[str, Any]:
    info = model.info
    return {
        "id": info.name,
        "object": "model",
        "created": started,
        "owned_by": "ggufrun",
        "type": "base",
        "name": info.name,
        "description": info.description,
        "max_context_length": info.context,
        "aliases": [],
        "deprecation": None,
        "capabilities": {"completion_chat": True, "function_calling": True, "completion_fim": False, "vision": False},
    }
