"""The OpenAPI document's parts that no route has for itself: errors, streams, the page at /docs."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi
from pydantic import BaseModel

from ggufrun.api.conversation.replies import ErrorReply
from ggufrun.api.errors import envelope

Responses = dict[int | str, dict[str, Any]]

DESCRIPTION: Final = """Local models behind Mistral's API; OpenAI's clients work too, with `/v1` behind the address.

`Authorization: Bearer KEY` is needed once a key was made with `ggufrun keys add`. Nothing leaves this machine."""
_TEXTS: Final = {
    400: "The request cannot be served as it is.",
    401: "An API key is needed, or the one given is unknown.",
    403: "The key lacks the right.",
    404: "There is no such thing here.",
    413: "The body is too large.",
    422: "A field is missing, out of range or not supported; `detail` says where.",
    429: "The queue is full, or the key's tokens of the day are used up.",
    500: "The engine failed.",
    503: "The model is being loaded, or its process restarted.",
}
_EXAMPLE: Final = envelope("temperature is 3.0. It must be from 0 to 2.", "invalid_request_error", "temperature")
# Before OpenAPI 3.2 `schema` describes each event of a stream; Mistral's own document does so too.
_EVENT: Final = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "description": "The event's name, where the API has names."},
        "data": {"type": "string", "description": "JSON; `[DONE]` at the end of a stream of choices."},
    },
    "required": ["data"],
}
_GENERATES: Final = (400, 401, 403, 413, 422, 429, 500, 503)


def errors(*statuses: int, reply: type[BaseModel] = ErrorReply, example: object = _EXAMPLE) -> Responses:
    """FastAPI's `responses` for errors in the envelope; without statuses those of a route that generates."""
    content = {"application/json": {"example": example}}
    return {
        status: {"model": reply, "description": _TEXTS[status], "content": content} for status in statuses or _GENERATES
    }


def answers(reply: type[BaseModel], example: object, stream: str) -> Responses:
    """`responses` of a route that answers with `reply`, or with server-sent events such as `stream`."""
    content = {
        "application/json": {"example": example},
        "text/event-stream": {"schema": _EVENT, "example": stream},
    }
    description = "The whole answer; with `stream: true` its pieces as server-sent events."
    return {200: {"model": reply, "description": description, "content": content}, **errors()}


def add_docs_page(app: FastAPI) -> None:
    """/docs, with Swagger UI's files from the package: the browser asks nobody else."""
    options = {"validatorUrl": None, "tryItOutEnabled": True, "persistAuthorization": True, "filter": True}
    patch_fastapi(app, redirect_from_root_to_docs=False, swagger_ui_parameters=options)
