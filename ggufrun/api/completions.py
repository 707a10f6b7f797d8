"""POST /v1/chat/completions: one answer, or a stream of server-sent events. Request errors come before headers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ggufrun.api.chunks import Collector, StreamShaper
from ggufrun.api.errors import reply_to, sentence
from ggufrun.api.wire import ChatCompletionBody
from ggufrun.chat.types import ChatEvent, ChatModel
from ggufrun.errors import GgufrunError

_log = logging.getLogger(__name__)


async def answer(model: ChatModel, body: ChatCompletionBody, request: Request) -> Response:
    """The whole answer as one body; a client that leaves stops its generation."""
    wanted = body.to_request()
    collector = Collector(model.info.name, wanted.options.n)

    async def collect() -> None:
        async with aclosing(model.complete(wanted)) as events:
            async for event in events:
                collector.add(event)

    work = asyncio.create_task(collect())
    gone = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return Response(status_code=499)  # nobody reads it
        work.result()
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
    return JSONResponse(collector.body())


async def _left(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def stream(model: ChatModel, body: ChatCompletionBody, request: Request) -> Response:
    wanted = body.to_request()
    events = model.complete(wanted)
    try:
        first = await anext(events)  # raises what is wrong with the request
    except BaseException:
        await events.aclose()
        raise
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    return _EventStream(first, events, StreamShaper(model.info.name, wanted.options.n, include_usage))


class _EventStream(StreamingResponse):
    """Server-sent events. Closes `events` however it ends, also where the client has left before the first line."""

    def __init__(self, first: ChatEvent, events: AsyncGenerator[ChatEvent, None], shaper: StreamShaper) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(_lines(first, events, shaper), headers=headers, media_type="text/event-stream")
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)


async def _lines(first: ChatEvent, events: AsyncGenerator[ChatEvent, None], shaper: StreamShaper) -> AsyncIterator[str]:
    try:
        for line in shaper.lines(first):
            yield line + "\n\n"
        async for event in events:
            for line in shaper.lines(event):
                yield line + "\n\n"
    except Exception as error:  # the headers are out, so the stream itself must say that it failed
        if not isinstance(error, GgufrunError):
            _log.exception("The streamed answer %s failed.", shaper.envelope.id)
        for line in shaper.failure(sentence(error), reply_to(error).type):
            yield line + "\n\n"
    yield "data: [DONE]\n\n"
