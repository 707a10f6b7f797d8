"""Who calls: the key is looked up before a byte of the body is read, and handed on in the request's scope."""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggufrun.api.front.access import access_of
from ggufrun.api.gateway import Gateway
from ggufrun.api.manage.control import LOCAL_KEY
from ggufrun.errors import AccessError, StoreBusy, Unauthorized
from ggufrun.records.keys import Key

_SCOPE_KEY: Final = "ggufrun.caller"


@dataclass(frozen=True, slots=True)
class _Caller:
    key: Key | None
    refusal: AccessError | StoreBusy | None = None


class KeyCheck:
    """Who has no good key is not listened to: the request goes on without its body.

    So it is refused where its route asks for the key, as any other, and what is open to all stays so.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app, self._gateway = app, gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _caller(scope, self._gateway).refusal is not None:
            receive = _without_body(receive)
        await self._app(scope, receive, send)


def caller_of(scope: Scope, gateway: Gateway) -> Key | None:
    """The caller's key, None where none is asked for. Raises Unauthorized or StoreBusy."""
    caller = _caller(scope, gateway)
    if caller.refusal is not None:
        raise caller.refusal
    return caller.key


def _caller(scope: Scope, gateway: Gateway) -> _Caller:
    """Looked up the first time."""
    known = scope.get(_SCOPE_KEY)
    if isinstance(known, _Caller):
        return known
    try:
        caller = _Caller(_identify(gateway, Headers(scope=scope)))
    except (AccessError, StoreBusy) as error:
        caller = _Caller(None, error)
    if caller.key is not None and caller.key is not LOCAL_KEY:
        access_of(scope).key = caller.key.name
    scope[_SCOPE_KEY] = caller
    return caller


def _without_body(receive: Receive) -> Receive:
    sent = False

    async def bare() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return bare


def _identify(gateway: Gateway, headers: Headers) -> Key | None:
    # Anthropic's clients send x-api-key, some of them beside a bearer token of another service.
    given = [secret for secret in (_bearer(headers), headers.get("x-api-key")) if secret]
    if gateway.control is not None and any(map(gateway.control.admits, given)):
        return LOCAL_KEY
    if gateway.keys is None or not gateway.keys.any():
        if gateway.settings.loopback and not gateway.settings.auth:
            return None
        raise Unauthorized(given=False)  # others can reach us, or --auth was said, and the keys are gone
    for secret in given:
        if (key := gateway.keys.find(secret)) is not None:
            return key
    raise Unauthorized(given=bool(given))


def _bearer(headers: Headers) -> str:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
