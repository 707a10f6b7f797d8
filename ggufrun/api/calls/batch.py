"""Several raw prompts answered as one: all are begun before any is answered, and their choices are numbered on."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from ggufrun.chat.types import (
    AnyRequest,
    ChatEvent,
    ChatModel,
    ChoiceFinished,
    Completed,
    Meter,
    Started,
    TextDelta,
    TextRequest,
    ThinkingDelta,
    ToolCallDelta,
)

Asked = AnyRequest | tuple[TextRequest, ...]
_Answer = AsyncGenerator[ChatEvent, None]
_Queue = asyncio.Queue[tuple[int, ChatEvent | None]]


def complete(model: ChatModel, asked: Asked, meter: Meter) -> _Answer:
    """`ChatModel.complete`, for one request or for several."""
    return _together(model, asked, meter) if isinstance(asked, tuple) else model.complete(asked, meter)


async def _together(model: ChatModel, requests: Sequence[TextRequest], meter: Meter) -> _Answer:
    """The events of all in the order in which they come; the first, `Started`, and the last are sums."""
    meters = [Meter() for _ in requests]
    ends: list[Completed] = []
    async with AsyncExitStack() as open_answers:
        open_answers.callback(_add_up, meter, meters)  # behind all: some count what they charge when they are closed
        n = requests[0].options.n  # the same for all
        with model.reserve(len(requests) * n, "n" if n > len(requests) else "prompt") as reserved:
            answers = [reserved.complete(request, each) for request, each in zip(requests, meters, strict=True)]
            for answer in answers:
                await open_answers.enter_async_context(aclosing(answer))
            begun = [await anext(answer) for answer in answers]  # raises what is wrong with any of them
        _add_up(meter, meters)
        started = [event for event in begun if isinstance(event, Started)]
        yield Started(sum(event.prompt_tokens for event in started), max(event.context for event in started))
        async with aclosing(_merged(answers)) as events:
            async for number, event in events:
                _add_up(meter, meters)
                if isinstance(event, Completed):
                    ends.append(event)
                else:
                    yield _numbered(event, number * requests[0].options.n)
    yield _sum(ends)


def _numbered(event: ChatEvent, before: int) -> ChatEvent:
    if isinstance(event, TextDelta | ThinkingDelta | ToolCallDelta | ChoiceFinished):
        return replace(event, choice=event.choice + before)
    return event


def _add_up(total: Meter, meters: Sequence[Meter]) -> None:
    total.prompt_tokens = sum(each.prompt_tokens for each in meters)
    total.cached_tokens = sum(each.cached_tokens for each in meters)
    total.completion_tokens = sum(each.completion_tokens for each in meters)
    total.engine, total.why = meters[0].engine, meters[0].why  # of all: they have their places on one engine
    total.spent_usd = sum(each.spent_usd for each in meters)
    total.thrown_tokens = sum(each.thrown_tokens for each in meters)
    total.ttft_s = min((each.ttft_s for each in meters if each.ttft_s is not None), default=None)


def _sum(ends: Sequence[Completed]) -> Completed:
    return Completed(
        prompt_tokens=sum(end.prompt_tokens for end in ends),
        completion_tokens=sum(end.completion_tokens for end in ends),
        stats=tuple(stats for end in ends for stats in end.stats),
        ttft_s=min(end.ttft_s for end in ends),
        total_s=max(end.total_s for end in ends),
        context_used=max(end.context_used for end in ends),
        context=max(end.context for end in ends),
        reasons=tuple(reason for end in ends for reason in end.reasons),
    )


async def _merged(answers: Sequence[_Answer]) -> AsyncGenerator[tuple[int, ChatEvent], None]:
    """An error of one answer is raised here."""
    queue: _Queue = asyncio.Queue()  # unbounded: an answer ends at the context's end, and its events are small
    pumps = [asyncio.create_task(_pump(number, answer, queue)) for number, answer in enumerate(answers)]
    running = len(pumps)
    try:
        while running:
            number, event = await queue.get()
            if event is not None:
                yield number, event
                continue
            running -= 1
            await pumps[number]
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(number: int, answer: _Answer, queue: _Queue) -> None:
    try:
        async for event in answer:
            queue.put_nowait((number, event))
    finally:
        queue.put_nowait((number, None))
