"""From a request to a reply: one whole body, or a stream. Request errors come before headers, and every call is closed.

Used by every endpoint that generates; what the reply looks like is its `Form`'s.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, Final, Protocol

from fastapi.responses import JSONResponse, Response

from ggufrun.api.calls.batch import Asked, complete
from ggufrun.api.calls.call import Call
from ggufrun.api.calls.event_stream import EventStream, unless_left
from ggufrun.api.errors import reply_to
from ggufrun.api.images.images import linked
from ggufrun.chat.types import ChatEvent, ChatRequest, ChoiceFinished, Completed, ModelInfo
from ggufrun.errors import GgufrunError

ESCALATE_HEADER: Final = "x-ggufrun-escalate"
_log = logging.getLogger(__name__)


class Lines(Protocol):
    """Chat events to the lines of one streamed answer."""

    @property
    def last(self) -> str:
        """The line behind everything, also behind a failure; "" where there is none."""

    @property
    def id(self) -> str:
        """The answer's id, as the client sees it."""

    def lines(self, event: ChatEvent) -> Iterator[str]:
        """What the event adds, without the blank line behind each line."""

    def failure(self, error: Exception) -> Iterator[str]:
        """What ends a stream that cannot go on."""


class Body(Protocol):
    """Chat events to one whole answer."""

    def add(self, event: ChatEvent) -> None: ...

    def body(self) -> dict[str, Any]:
        """The JSON, once all events are added."""


class Form(Protocol):
    """How an endpoint writes the answers of the model that `info` is of."""

    def stream(self, call: Call, info: ModelInfo) -> Lines: ...

    def body(self, call: Call, info: ModelInfo) -> Body: ...


async def respond(call: Call, model: str, request: Asked, form: Form, *, streamed: bool) -> Response:
    """Answer `request` with the model that `model` means. Request errors are raised before anything is sent."""
    if isinstance(request, ChatRequest):
        request = escalated(request, call.request.headers)
    call.ask(request)
    try:
        return await (_stream if streamed else _answer)(call, model, request, form)
    except Exception as error:  # whatever it is, the call is recorded with it; raised again
        reply = reply_to(error)
        call.close(reply.status, reply.type)
        raise
    except BaseException:
        call.close(499, "cancelled")
        raise


async def _answer(call: Call, model: str, request: Asked, form: Form) -> Response:
    """The whole answer as one body; a client that leaves stops its generation."""
    body = await unless_left(call.request.receive, _collect(call, model, request, form))
    return JSONResponse(body, headers=call.cost_headers() | call.route_headers())


async def _collect(call: Call, name: str, request: Asked, form: Form) -> dict[str, Any]:
    async with call.model(name) as model:
        request = await brought(call, request, model.info)
        async with aclosing(complete(model, request, call.meter)) as events:
            body = form.body(call, model.info)
            async for event in events:
                body.add(event)
                if call.transcript is not None:
                    call.transcript.add(event)
                call.watch(event)
    return body.body()


def escalated(request: ChatRequest, headers: Mapping[str, str]) -> ChatRequest:
    """The request as its header wants it: a route may then give it to its last engine at once."""
    wanted = headers.get(ESCALATE_HEADER, "").strip().lower() in ("1", "true")
    return replace(request, escalate=True) if wanted else request


async def brought(call: Call, request: Asked, info: ModelInfo) -> Asked:
    """The request with its images in it. Several raw prompts have none."""
    return request if isinstance(request, tuple) else await call.gateway.images.brought(request, info)


async def _stream(call: Call, name: str, request: Asked, form: Form) -> Response:
    async with AsyncExitStack() as resources:
        model = await resources.enter_async_context(call.model(name))
        if linked(request):  # only what takes its time is watched: that costs a text's stream nothing
            request = await unless_left(call.request.receive, brought(call, request, model.info))
        events = await resources.enter_async_context(aclosing(complete(model, request, call.meter)))
        first = await _first(call, events, model.info)  # raises what is wrong with the request
        lines = _lines(call, first, events, form.stream(call, model.info))
        left = AsyncExitStack()
        left.callback(call.close, 499, "cancelled")  # where nothing has closed it by then
        left.push_async_exit(resources.pop_all())
        return EventStream(lines, left, call.route_headers())
    raise AssertionError  # mypy cannot know that the stack lets errors through


async def _first(call: Call, events: AsyncGenerator[ChatEvent, None], info: ModelInfo) -> ChatEvent:
    """A route may take an answer's whole time until then, a remote its prompt's, and the client may leave meanwhile."""
    if not info.engines and not info.elsewhere:
        return await anext(events)

    async def first() -> ChatEvent:
        return await anext(events)

    return await unless_left(call.request.receive, first())


async def _lines(
    call: Call, first: ChatEvent, events: AsyncGenerator[ChatEvent, None], answer: Lines
) -> AsyncGenerator[str, None]:
    try:
        for line in answer.lines(first):
            yield line
        async for event in events:
            kind = type(event)
            if kind is Completed or kind is ChoiceFinished:
                call.watch(event)
            elif call.transcript is not None:
                call.transcript.add(event)
            for line in answer.lines(event):
                yield line
    except Exception as error:  # the headers are out, so the stream itself must say that it failed
        if not isinstance(error, GgufrunError):
            _log.exception("The streamed answer %s of request %s failed.", answer.id, call.id)
        reply = reply_to(error)
        call.close(reply.status, reply.type)
        for line in answer.failure(error):
            yield line
    if answer.last:
        yield answer.last
