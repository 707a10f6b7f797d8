"""Errors to HTTP: one table, the envelope that both dialects' SDKs read, and Anthropic's.

Sentences come from the errors themselves; what was not raised on purpose gets one that says nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ggufrun.api.front.access import access_of
from ggufrun.errors import (
    AdminKeyNeeded,
    BadToolCall,
    BodyStopped,
    BodyTooLarge,
    BudgetTooSmall,
    CannotLoad,
    ChatBusy,
    ChatNotFound,
    ClientLeft,
    EmptyPrompt,
    EngineBusy,
    EngineClosed,
    EngineCrashed,
    EngineError,
    Forbidden,
    GgufrunError,
    HostRefused,
    InputError,
    InputTooLong,
    KeyExists,
    MessageOrder,
    ModelFileError,
    ModelLoading,
    ModelNotFound,
    NamedFileError,
    OriginRefused,
    OutOfMemory,
    OutOfRange,
    PromptTooLong,
    QuotaUsed,
    RequestError,
    RunStopped,
    SchemaError,
    SchemaNotSatisfied,
    ServedAlready,
    StoreBusy,
    Unauthorized,
    UnknownJob,
    UnknownKey,
    UnknownModel,
    Unsupported,
    cut,
)
from ggufrun.hub_errors import GatedRepo, HubError, NoSuchQuant, NoSuchRevision, RepoNotFound
from ggufrun.remote_errors import RemoteBusy, RemoteDown, RemoteError


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    type: str
    code: str | None = None
    retry_s: int | None = None


_INVALID = "invalid_request_error"
_LONGEST: Final = 2000  # characters of a sentence: some repeat what the request holds
# The first class that the error is an instance of decides. The codes that are numbers are Mistral's own.
_TABLE: tuple[tuple[type[GgufrunError], Reply], ...] = (
    (UnknownModel, Reply(400, "invalid_model", "1500")),
    (EmptyPrompt, Reply(400, "invalid_request_message_order", "3230")),
    (MessageOrder, Reply(400, "invalid_request_message_order", "3230")),
    (BadToolCall, Reply(400, "invalid_function_call", "3280")),
    (PromptTooLong, Reply(400, _INVALID, "context_length_exceeded")),
    (InputTooLong, Reply(400, _INVALID, "context_length_exceeded")),
    (OutOfRange, Reply(422, _INVALID)),
    (Unsupported, Reply(422, _INVALID, "unsupported")),
    (SchemaError, Reply(422, _INVALID, "schema_not_enforceable")),
    (SchemaNotSatisfied, Reply(422, _INVALID, "schema_not_satisfied")),
    (BudgetTooSmall, Reply(422, _INVALID, "budget_too_small")),
    (BodyTooLarge, Reply(413, _INVALID, "request_too_large")),
    (BodyStopped, Reply(408, _INVALID)),
    (RequestError, Reply(400, _INVALID)),
    (ModelNotFound, Reply(404, _INVALID)),
    (ChatNotFound, Reply(404, _INVALID)),
    (ChatBusy, Reply(409, _INVALID)),
    (RunStopped, Reply(409, "cancelled")),
    (OutOfMemory, Reply(503, "server_error")),
    (NamedFileError, Reply(422, _INVALID)),
    (ModelFileError, Reply(503, "server_error")),
    (KeyExists, Reply(409, _INVALID)),
    (ServedAlready, Reply(400, _INVALID, "served_already")),
    (UnknownKey, Reply(404, _INVALID)),
    (UnknownJob, Reply(404, _INVALID)),
    (RepoNotFound, Reply(404, _INVALID)),
    (NoSuchRevision, Reply(404, _INVALID)),
    (NoSuchQuant, Reply(404, _INVALID)),
    (GatedRepo, Reply(403, "permission_error")),
    (HubError, Reply(502, "server_error")),
    (InputError, Reply(400, _INVALID)),
    (ClientLeft, Reply(499, "cancelled")),
    (StoreBusy, Reply(503, "server_error", retry_s=1)),
    (AdminKeyNeeded, Reply(401, "authentication_error", "admin_key_needed")),
    (Unauthorized, Reply(401, "authentication_error", "invalid_api_key")),
    (HostRefused, Reply(403, _INVALID, "host_not_allowed")),
    (OriginRefused, Reply(403, _INVALID, "origin_not_allowed")),
    (Forbidden, Reply(403, "permission_error")),
    (QuotaUsed, Reply(429, "rate_limited", "1300")),
    (EngineBusy, Reply(429, "rate_limited", "1300", retry_s=1)),
    (EngineCrashed, Reply(503, "server_error", retry_s=1)),
    (ModelLoading, Reply(503, "server_error", "model_loading")),
    (CannotLoad, Reply(503, "server_error")),
    (EngineClosed, Reply(503, "server_error")),
    (RemoteBusy, Reply(429, "rate_limited", "1300", retry_s=1)),
    (RemoteDown, Reply(503, "server_error", "remote_down")),
    (RemoteError, Reply(502, "server_error", "remote_failed")),
    (EngineError, Reply(500, "server_error")),
)


def reply_to(error: Exception) -> Reply:
    return next((reply for kind, reply in _TABLE if isinstance(error, kind)), Reply(500, "server_error"))


def sentence(error: Exception) -> str:
    """What the client may read. The text of an error that is a bug may hold anything, so it stays in the log."""
    if isinstance(error, GgufrunError):
        return cut(str(error), _LONGEST)
    return "The server failed; its log has the details."


def envelope(message: str, kind: str, param: str | None = None, code: str | None = None, **more: Any) -> dict[str, Any]:
    """Flat fields for Mistral's SDKs and a nested `error` for OpenAI's. `more` goes into both."""
    flat = {"message": message, "type": kind, "param": param, "code": code, **more}
    return {"object": "error", **flat, "error": flat}


def envelope_of(error: Exception) -> dict[str, Any]:
    """The envelope without `detail`."""
    reply = reply_to(error)
    more = {"text": error.text} if isinstance(error, SchemaNotSatisfied) else {}
    if isinstance(error, ServedAlready):
        more = {"served_as": cut(error.name)}
    return envelope(sentence(error), reply.type, _param(error), reply.code, **more)


_ANTHROPIC_PATHS = ("/v1/messages", "/v1/messages/count_tokens")
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def anthropic_envelope(envelope: Mapping[str, Any], status: int, request_id: str) -> dict[str, Any]:
    """The same error as Anthropic's SDKs read it. Their types follow from the status."""
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    more = {name: envelope[name] for name in ("code", "text") if envelope.get(name)}
    error = {"type": kind, "message": envelope["message"], **more}
    return {"type": "error", "error": error, "request_id": request_id}


class ErrorResponse(JSONResponse):
    """Writes the envelope that the path's clients read: which one is known when it is sent."""

    def __init__(self, body: dict[str, Any], status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body, status, headers)
        self._envelope = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.suit(scope)
        await super().__call__(scope, receive, send)

    def suit(self, scope: Scope) -> None:
        """Change to the envelope that is read there; for those who send the body themselves."""
        if scope["path"].endswith(_ANTHROPIC_PATHS):
            request_id = access_of(scope).request_id
            self.body = self.render(anthropic_envelope(self._envelope, self.status_code, request_id))
            self.headers["content-length"] = str(len(self.body))
            self.headers["request-id"] = request_id


def response_failure(error: Exception) -> dict[str, str]:
    """The error of a response that has failed. OpenAI's codes are few, and Mistral's SDK takes no others."""
    status = reply_to(error).status
    code = "rate_limit_exceeded" if status == 429 else "server_error" if status >= 500 else "invalid_prompt"
    return {"code": code, "message": sentence(error)}


def error_body(error: Exception) -> dict[str, Any]:
    """The envelope, with `detail` where its status is 422: Mistral's SDK reads that list."""
    body = envelope_of(error)
    if reply_to(error).status == 422 and isinstance(error, RequestError):
        param = _param(error)
        parts = param.split(".") if param else []
        field = ["body", *(int(part) if part.isdecimal() else part for part in parts)]
        body["detail"] = [{"loc": field, "msg": cut(error.message, _LONGEST), "type": "value_error"}]
    return body


def error_response(error: Exception) -> ErrorResponse:
    reply = reply_to(error)
    return ErrorResponse(error_body(error), reply.status, _headers(error, reply))


def _param(error: Exception) -> str | None:
    return cut(error.param, 1000) if isinstance(error, RequestError) and error.param else None


def _headers(error: Exception, reply: Reply) -> dict[str, str]:
    wait = _retry_s(error, reply)
    if isinstance(error, QuotaUsed):  # hours: no client should sit through them
        return {"Retry-After": str(wait), "x-should-retry": "false"}
    if wait is not None:
        return {"Retry-After": str(wait)}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    # OpenAI's SDKs try every 5xx and 429 again unless they are told that it is no use.
    return {"x-should-retry": "false"} if reply.status >= 500 or reply.status == 429 else {}


def _retry_s(error: Exception, reply: Reply) -> int | None:
    """Seconds after which the same request may succeed, None where it will not."""
    if isinstance(error, ModelLoading | QuotaUsed):
        return error.retry_s
    if isinstance(error, RemoteDown | RemoteBusy) and error.retry_s is not None:
        return max(1, error.retry_s)
    if isinstance(error, EngineCrashed) and not error.restarting:
        return error.retry_s
    return reply.retry_s
