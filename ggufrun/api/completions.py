"""POST /v1/chat/completions: one answer, or a stream of server-sent events. Request errors come before headers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from ggufrun.api.chunks import Collector, StreamShaper
from ggufrun.api.errors import reply_to
from ggufrun.api.wire import ChatCompletionBody
from ggufrun.chat.types import ChatEvent, ChatModel
from ggufrun.errors import EngineError


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
    events = model.complete(body.to_request())
    first = await anext(events)  # raises what is wrong with the request
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    shaper = StreamShaper(model.info.name, include_usage)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(first, events, shaper), media_type="text/event-stream", headers=headers)


async def _lines(first: ChatEvent, events: AsyncGenerator[ChatEvent, None], shaper: StreamShaper) -> AsyncIterator[str]:
    """Server-sent events; closing this generator, as a client that leaves does, closes `events`."""
    async with aclosing(events):
        for line in shaper.lines(first):
            yield line + "\n\n"
        try:
            async for event in events:
                for line in shaper.lines(event):
                    yield line + "\n\n"
        except EngineError as error:
            yield shaper.failure(str(error), reply_to(error).type) + "\n\n"
        yield "data: [DONE]\n\n"
