"""One API call, from its first byte to its line in the ledger: who calls, which model it gets, what it used.

`begin` is the dependency of the routes that answer with a model, `administer` that of those that manage.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Message, Scope

from ggufrun.api.calls.batch import Asked
from ggufrun.api.calls.dialect import Dialect, dialect_of
from ggufrun.api.calls.event_stream import unless_left
from ggufrun.api.calls.transcript import Transcript
from ggufrun.api.calls.usage import cached_tokens, tokens_per_second
from ggufrun.api.front.access import access_of
from ggufrun.api.front.guard import request_id
from ggufrun.api.front.key_check import caller_of
from ggufrun.api.gateway import Gateway, gateway_of
from ggufrun.api.manage.control import LOCAL_KEY
from ggufrun.chat.types import ChatEvent, ChatModel, ChoiceFinished, Completed, Meter, ModelInfo
from ggufrun.errors import (
    AdminKeyNeeded,
    CannotLoad,
    Forbidden,
    ModelFileError,
    OptionError,
    OutOfMemory,
    QuotaUsed,
)
from ggufrun.records.keys import Key
from ggufrun.records.ledger import DAY_S, Entry

_bearer = HTTPBearer(auto_error=False, description="Any key works until one is made with `ggufrun keys add`.")
ENGINE_HEADER: Final = "x-ggufrun-engine"
WHY_HEADER: Final = "x-ggufrun-why"
_PLAIN: Final = " !#$&'()*+,/:;=@[]^`{|}"  # what stays as it is in a header
_CALL = "ggufrun.call"  # its place in the scope
_prompts = logging.getLogger("ggufrun.prompts")  # silent without --log-prompts
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Call:
    """A route takes its model with `model`, shows it the answer's events, and closes it where they do not."""

    def __init__(self, gateway: Gateway, request: Request, key: Key | None) -> None:
        self.gateway, self.request, self.key = gateway, request, key
        self.id = request_id(request.scope)
        self.dialect: Dialect = dialect_of(request.headers)
        self.meter = Meter()
        self.info: ModelInfo | None = None  # of the model that it means, whether or not it gets it
        self.transcript: Transcript | None = None  # with --log-prompts only
        self.detached = False  # it goes on without its request, and who answers it closes it
        self.started = time.time()
        self._clock = time.perf_counter()
        self._closed = False
        self._reason = "stop"

    @property
    def strict(self) -> bool:
        return self.gateway.settings.strict

    def detach(self) -> None:
        """Go on when the request is answered, and whether or not its client stays."""
        self.detached = True
        self.request = Request(self.request.scope, receive=_nothing)

    @asynccontextmanager
    async def model(self, name: str) -> AsyncIterator[ChatModel]:
        """The model that `name` means, for as long as it is held.

        Raises UnknownModel, Forbidden or QuotaUsed where the key's rights end, CannotLoad or ModelLoading where it does
        not come, and ClientLeft.
        """
        found = self.gateway.find(name, self.key)
        info = self.info = found.info
        await self._check_rights(info)
        async with AsyncExitStack() as stack:
            leased = stack.enter_async_context(self.gateway.models.lease(info.name))
            try:
                model = await (leased if found.state == "ready" else unless_left(self.request.receive, leased))
            except (ModelFileError, OutOfMemory, OptionError) as error:
                raise CannotLoad(info.name) from error
            self.info = model.info
            yield model

    def cost_usd(self) -> float | None:
        """What the hosted model would have cost so far, None where the card gives no price."""
        if self.info is None or self.info.price is None:
            return None
        return self.info.price.usd(self.meter.prompt_tokens, self.meter.completion_tokens)

    def cost_headers(self) -> dict[str, str]:
        cost = self.cost_usd()
        return {} if cost is None else {"x-ggufrun-cost-usd": f"{cost:.8f}"}

    def route_headers(self) -> dict[str, str]:
        """Which engine answers, and why, where a route has chosen it.

        Files are called as people like, but a header is ASCII.
        """
        engine = quote(self.meter.engine, safe=_PLAIN)
        return {ENGINE_HEADER: engine, WHY_HEADER: self.meter.why} if self.meter.why else {}

    def watch(self, event: ChatEvent) -> None:
        """Take note of how the answer ends; the last event closes the call."""
        if isinstance(event, ChoiceFinished):
            self._reason = event.reason
        elif isinstance(event, Completed):
            self.meter.prompt_tokens, self.meter.completion_tokens = event.prompt_tokens, event.completion_tokens
            self.meter.cached_tokens = max(self.meter.cached_tokens, cached_tokens(event))
            if event.completion_tokens and self.meter.ttft_s is None:
                self.meter.ttft_s = event.ttft_s
            self.close(200, self._reason, tokens_per_s=tokens_per_second(event))

    def ask(self, request: Asked) -> None:
        """Take note of what is asked, where --log-prompts wants that kept."""
        if self.gateway.settings.log_prompts:
            self.transcript = Transcript(request)

    def close(self, status: int, reason: str, *, tokens_per_s: float | None = None) -> None:
        """Record the call, once: the HTTP status, and the finish reason, "cancelled" or the error's type."""
        if self._closed:
            return
        self._closed = True
        if self.gateway.ledger is not None:
            self.gateway.ledger.end(self.id)
        total_s = time.perf_counter() - self._clock
        entry = Entry(
            time=self.started,
            request_id=self.id,
            key=self.key.name if self.key and self.key is not LOCAL_KEY else "",
            endpoint=endpoint_of(self.request.scope),
            model=self.info.name if self.info else "",
            file=self.info.file if self.info else "",
            quant=self.info.quant if self.info else "",
            prompt_tokens=self.meter.prompt_tokens,
            cached_tokens=self.meter.cached_tokens,
            completion_tokens=self.meter.completion_tokens,
            ttft_s=self.meter.ttft_s,
            total_s=total_s,
            tokens_per_s=self._speed(total_s) if tokens_per_s is None else tokens_per_s,
            finish_reason=reason,
            status=status,
            usd=self.cost_usd(),
            engine=self.meter.engine,
            spent_usd=self.meter.spent_usd,
            thrown_tokens=self.meter.thrown_tokens,
        )
        access = access_of(self.request.scope)
        access.status, access.model, access.key = status, entry.model, entry.key
        access.engine, access.why = self.meter.engine, self.meter.why
        access.tokens = f"{entry.prompt_tokens}+{entry.completion_tokens}" if entry.prompt_tokens else ""
        text = self.transcript.text() if self.transcript else None
        if text is not None:
            _prompts.info("%s asked %s answered %s", self.id, text.prompt, text.answer)
        self.gateway.metrics.record(entry, self.meter.why)
        if self.gateway.ledger is not None and entry.model:
            self.gateway.ledger.record(entry, text)

    def _speed(self, total_s: float) -> float:
        """Tokens per second of an answer that was cut, after its first one."""
        ttft_s, tokens = self.meter.ttft_s, self.meter.completion_tokens
        return (tokens - 1) / (total_s - ttft_s) if ttft_s is not None and tokens > 1 and total_s > ttft_s else 0.0

    async def _check_rights(self, info: ModelInfo) -> None:
        if self.key is None:
            return
        if not self.key.may_use((info.name, *info.aliases)):
            raise Forbidden(f"The key {self.key.name!r} may not use {info.name}.", "Ask for one of its models.")
        ledger = self.gateway.ledger
        if self.key.tokens_per_day is not None and ledger is not None:
            used = await ledger.used_today(self.key.name)
            if used >= self.key.tokens_per_day:
                raise QuotaUsed(self.key.name, self.key.tokens_per_day, used, ceil(DAY_S - time.time() % DAY_S))
            ledger.begin(self.id, self.key.name, lambda: self.meter.all_tokens)


async def authorized(request: Request, _: Credentials) -> Key | None:
    """The caller's key, as `KeyCheck` has found it; None where none is asked for. Raises Unauthorized.

    The credentials are there for the OpenAPI document.
    """
    return caller_of(request.scope, gateway_of(request))


async def begin(request: Request, key: Annotated[Key | None, Depends(authorized)]) -> Call:
    """The dependency of every route that answers with a model."""
    call = request.scope[_CALL] = Call(gateway_of(request), request, key)
    return call


async def _nothing() -> Message:
    """Of a client that never leaves."""
    await asyncio.Event().wait()
    raise AssertionError  # mypy cannot know that nobody sets it


def call_of(scope: Scope) -> Call | None:
    """The call that the request has become, if it has come that far."""
    call = scope.get(_CALL)
    return call if isinstance(call, Call) else None


def endpoint_of(scope: Scope) -> str:
    """The route as it is declared; "other" where there is none. No client can invent one."""
    return str(getattr(scope.get("route"), "path", "other"))


async def administer(request: Request, key: Annotated[Key | None, Depends(authorized)]) -> Gateway:
    """The dependency of every management route: the gateway, for a key with the admin scope.

    A server that runs by itself asks for one also where chatting needs none: any program and any page that may chat
    could stop it otherwise. Raises AdminKeyNeeded or Forbidden.
    """
    gateway = gateway_of(request)
    if key is None and gateway.control is not None:
        raise AdminKeyNeeded
    if key is not None and key.scope != "admin":
        raise Forbidden(f"The key {key.name!r} may chat, not manage.", "Make one: ggufrun keys add NAME --scope admin.")
    return gateway


Caller = Annotated[Key | None, Depends(authorized)]
Begun = Annotated[Call, Depends(begin)]
Administered = Annotated[Gateway, Depends(administer)]
