"""Errors to HTTP: one table, and the envelope that both dialects' SDKs read.

Sentences come from the errors themselves; what was not raised on purpose gets one that says nothing of it.
"""

from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse

from ggufrun.errors import (
    BudgetTooSmall,
    EngineBusy,
    EngineClosed,
    EngineCrashed,
    EngineError,
    GgufrunError,
    InputError,
    RequestError,
    SchemaError,
)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    type: str
    retry_s: int | None = None


# The first class that the error is an instance of decides.
_TABLE: tuple[tuple[type[GgufrunError], Reply], ...] = (
    (SchemaError, Reply(422, "invalid_request_error")),
    (BudgetTooSmall, Reply(422, "invalid_request_error")),
    (RequestError, Reply(400, "invalid_request_error")),
    (InputError, Reply(400, "invalid_request_error")),
    (EngineBusy, Reply(429, "rate_limited", retry_s=1)),
    (EngineCrashed, Reply(503, "server_error", retry_s=1)),
    (EngineClosed, Reply(503, "server_error")),
    (EngineError, Reply(500, "server_error")),
)


def reply_to(error: Exception) -> Reply:
    return next((reply for kind, reply in _TABLE if isinstance(error, kind)), Reply(500, "server_error"))


def sentence(error: Exception) -> str:
    """What the client may read. The text of an error that is a bug may hold anything, so it stays in the log."""
    return str(error) if isinstance(error, GgufrunError) else "The server failed; its log has the details."


def envelope(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Flat fields for Mistral's SDKs and a nested `error` for OpenAI's."""
    flat = {"message": message, "type": kind, "param": param, "code": code}
    return {"object": "error", **flat, "error": flat}


def _retry_s(error: Exception, reply: Reply) -> int | None:
    """Seconds after which the same request may succeed, None where it will not."""
    if isinstance(error, EngineCrashed) and not error.restarting:
        return error.retry_s
    return reply.retry_s


def error_response(error: Exception) -> JSONResponse:
    reply = reply_to(error)
    param = error.param if isinstance(error, RequestError) else None
    body = envelope(sentence(error), reply.type, param)
    if reply.status == 422 and isinstance(error, RequestError):
        field = ["body", *([param] if param else [])]
        body["detail"] = [{"loc": field, "msg": error.message, "type": "value_error"}]
    wait = _retry_s(error, reply)
    headers = {"Retry-After": str(wait)} if wait is not None else {}
    return JSONResponse(body, reply.status, headers)


def validation_response(errors: list[dict[str, Any]]) -> JSONResponse:
    """422 for a body that is not of the documented shape; `errors` as pydantic lists them."""
    detail = [{"loc": list(e["loc"]), "msg": e["msg"], "type": e["type"]} for e in errors]
    first = detail[0] if detail else {"loc": [], "msg": "Invalid request", "type": "value_error"}
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    body = envelope(f"{where}: {first['msg']}" if where else str(first["msg"]), "invalid_request_error", where or None)
    return JSONResponse({**body, "detail": detail}, 422)
