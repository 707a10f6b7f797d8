"""Asks a chat model for tool calls and has its answers judged: with and without a forced grammar

What is asked is `bfcl`'s, what is right `call_judge`'s.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Final

from ggufrun.chat.types import ChatModel, ChatOptions, ChatRequest, TextDelta, ToolCallDelta
from ggufrun.compare.tasks.bfcl import Item
from ggufrun.compare.tasks.call_judge import Call, judge
from ggufrun.compare.tasks.outcomes import Outcome, Progress
from ggufrun.errors import RequestError

CONTEXT: Final = 4096  # what a model must be loaded with at least, for each answer
AT_ONCE: Final = 8  # the engine computes them as one batch
MOST: Final = 160  # tokens of an answer: nearly all right ones have less than 128, and others go on to the end
_SHOWN: Final = 2_000  # characters of an answer that are kept


async def run(model: ChatModel, items: Sequence[Item], *, forced: bool, progress: Progress) -> list[Outcome]:
    """One outcome an item, in their order. `forced`: the grammar of the tools' schemas leaves nothing but a call.

    Cancelling the task stops it, and so does an error that `progress` raises. Raises EngineError.
    """
    outcomes: dict[str, Outcome] = {}
    left = iter(items)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(items))):
                group.create_task(_some(model, left, forced, outcomes, lambda: progress(len(outcomes), len(items))))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [outcomes[item.id] for item in items]


async def _some(
    model: ChatModel, left: Iterator[Item], forced: bool, outcomes: dict[str, Outcome], told: Callable[[], None]
) -> None:
    for item in left:
        outcomes[item.id] = await _asked(model, item, forced)
        told()


async def _asked(model: ChatModel, item: Item, forced: bool) -> Outcome:
    """A question that the model cannot be asked, or that has no end within its tokens, is answered wrong."""
    text, calls = "", dict[int, Call]()
    try:
        async with aclosing(model.complete(_request(model, item, forced))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, ToolCallDelta):
                    begun = calls.get(event.index, Call(event.name, ""))
                    calls[event.index] = Call(begun.name, begun.arguments + event.arguments)
    except RequestError as error:
        return Outcome(item.id, False, item.group, asdict(judge((), (), "", {})), str(error))
    verdict = judge(tuple(calls.values()), item.tools, item.function, item.accepted)
    written = text + "".join(f"{call.name}({call.arguments})" for call in calls.values())
    return Outcome(item.id, verdict.right, item.group, asdict(verdict), written[:_SHOWN])


def _request(model: ChatModel, item: Item, forced: bool) -> ChatRequest:
    """Nothing of it is left to the model's settings: all quants are asked the same."""
    options = ChatOptions(
        temperature=0.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        max_tokens=MOST,
        min_tokens=0,
        stop=(),
        reasoning_effort="none" if model.info.capabilities.reasoning else None,
    )
    return ChatRequest(
        messages=item.messages,
        options=options,
        tools=item.tools,
        tool_choice="any" if forced else "auto",
        parallel_tool_calls=False,
        default_system=False,
    )
