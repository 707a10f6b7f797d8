"""The OpenAPI document's parts that no route has for itself: errors, streams, the page at /docs."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi
from pydantic import BaseModel

from ggufrun.api.conversation.replies import ErrorReply
from ggufrun.api.errors import error_body
from ggufrun.errors import (
    BodyTooLarge,
    EngineBusy,
    EngineCrashed,
    HostRefused,
    KeyExists,
    ModelNotFound,
    OutOfRange,
    Unauthorized,
    UnknownModel,
)
from ggufrun.hub_errors import HubUnreachable

Responses = dict[int | str, dict[str, Any]]

DESCRIPTION: Final = """Local models behind Mistral's API; OpenAI's clients work too, with `/v1` behind the address.

`Authorization: Bearer KEY` is needed once a key was made with `ggufrun keys add`. Nothing leaves this machine;
images that a request links to are fetched from the public internet, unless the server runs with `--no-image-urls`."""
_TEXTS: Final = {
    400: "The request cannot be served as it is.",
    401: "An API key is needed, or the one given is unknown.",
    403: "The key lacks the right, or the Host or the Origin of the request is not allowed.",
    404: "There is no such thing here.",
    409: "There is one of this name already.",
    413: "The body is too large.",
    422: "A field is missing, out of range or not supported; `detail` says where.",
    429: "The queue is full, or the key's tokens of the day are used up.",
    500: "The engine failed.",
    502: "The hub, or the way to it, failed.",
    503: "The model is being loaded, or its process restarted.",
}
_SERVED: Final = "mistral-medium-3.5"
_EXAMPLES: Final[dict[int, Exception]] = {
    400: UnknownModel("mistral-large", [_SERVED]),
    401: Unauthorized(given=False),
    403: HostRefused(),
    404: ModelNotFound("mistral-large", [_SERVED]),
    409: KeyExists("laptop"),
    413: BodyTooLarge(64_000_000),
    422: OutOfRange("temperature is 3.0.", "It must be from 0 to 2.", "temperature"),
    429: EngineBusy(64),
    500: Exception("anything"),
    502: HubUnreachable("https://huggingface.co"),
    503: EngineCrashed("signal 9"),
}
# Before OpenAPI 3.2 `schema` describes each event of a stream; Mistral's own document does so too.
_EVENT: Final = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "description": "The event's name, where the API has names."},
        "data": {"type": "string", "description": "JSON; `[DONE]` at the end of a stream of choices."},
    },
    "required": ["data"],
}
_HEADERS: Final = {
    "x-ggufrun-engine": "Of a route's engines, the one that answers, percent-encoded; only of a route.",
    "x-ggufrun-why": "Why that one, in a few words: `first`, `fallback: small is overloaded`; only of a route.",
    "x-ggufrun-cost-usd": "What the hosted model would have cost; not of a stream, whose usage has it.",
}
# For `openapi_extra`: of the routes whose requests a route of engines may escalate.
ESCALATES: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "x-ggufrun-escalate",
            "in": "header",
            "description": "`1`: a route that has `header = true` gives it to its last engine at once.",
            "schema": {"type": "string"},
        }
    ]
}
_GENERATES: Final = (400, 401, 403, 413, 422, 429, 500, 503)


def example(status: int) -> dict[str, Any]:
    """An error of this status, as it is answered."""
    return error_body(_EXAMPLES[status])


def errors(
    *statuses: int, reply: type[BaseModel] = ErrorReply, example: Callable[[int], dict[str, Any]] = example
) -> Responses:
    """FastAPI's `responses` for errors in the envelope; without statuses those of a route that generates."""
    return {
        status: {
            "model": reply,
            "description": _TEXTS[status],
            "content": {"application/json": {"example": example(status)}},
        }
        for status in statuses or _GENERATES
    }


def answers(reply: type[BaseModel], example: object, stream: str) -> Responses:
    """`responses` of a route that answers with `reply`, or with server-sent events such as `stream`."""
    content = {
        "application/json": {"example": example},
        "text/event-stream": {"schema": _EVENT, "example": stream},
    }
    description = "The whole answer; with `stream: true` its pieces as server-sent events."
    headers = {name: {"description": said, "schema": {"type": "string"}} for name, said in _HEADERS.items()}
    return {200: {"model": reply, "description": description, "content": content, "headers": headers}, **errors()}


class Documented(FastAPI):
    """An application whose document also has the errors that come from what stands in front of the routes."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for method, operation in _operations(document):
            _complete(operation, method)
        for left in ("HTTPValidationError", "ValidationError"):  # FastAPI's, which is not what we answer
            document["components"]["schemas"].pop(left, None)
        return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        yield from methods.items()


def _complete(operation: dict[str, Any], method: str) -> None:
    """May be called again for the same operation."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
        if "requestBody" in operation or any(each["in"] != "path" for each in operation.get("parameters", ())):
            responses["422"] = _error(422)
    for status in (403, 413, 500) if method in ("post", "put", "patch") else (403, 500):
        responses.setdefault(str(status), _error(status))
    operation["responses"] = dict(sorted(responses.items()))


def _error(status: int) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{ErrorReply.__name__}"}
    content = {"application/json": {"schema": schema, "example": example(status)}}
    return {"description": _TEXTS[status], "content": content}


def add_docs_page(app: FastAPI) -> None:
    """/docs, with Swagger UI's files from the package: the browser asks nobody else."""
    options = {"validatorUrl": None, "tryItOutEnabled": True, "persistAuthorization": True, "filter": True}
    patch_fastapi(app, redirect_from_root_to_docs=False, swagger_ui_parameters=options)
