"""A chat model's events as one answer that is kept: its text and tool calls, and the shadow's own asking for it."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

from ggufrun.chat.types import (
    ChatEvent,
    ChatModel,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Meter,
    TextDelta,
    ToolCallDelta,
)
from ggufrun.errors import EngineBusy, GgufrunError
from ggufrun.records.shadows import ShadowAnswer
from ggufrun.remote_errors import RemoteBusy
from ggufrun.routing.watcher import Answered

ANSWER_S: Final = 900.0  # a shadow that takes longer is given up: others wait behind it
TOO_BUSY: Final = (EngineBusy, RemoteBusy)  # both come before the first event


class GaveWay(GgufrunError):
    """Somebody else needed the engine's place before the shadow's answer was whole."""

    def __init__(self, engine: str) -> None:
        super().__init__(f"{engine} was in the way of other models before its answer was whole.")
        self.engine = engine


@dataclass(slots=True)
class Gathered:
    """The first choice of an answer, while it comes. Thinking is not kept."""

    finish_reason: str = ""
    _text: list[str] = field(default_factory=list)
    _calls: dict[int, list[str]] = field(default_factory=dict)  # name, then pieces of the arguments

    def add(self, event: ChatEvent) -> None:
        if isinstance(event, TextDelta) and event.choice == 0:
            self._text.append(event.text)
        elif isinstance(event, ToolCallDelta) and event.choice == 0:
            self._calls.setdefault(event.index, [event.name]).append(event.arguments)
        elif isinstance(event, ChoiceFinished) and event.choice == 0:
            self.finish_reason = event.reason

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def tool_calls(self) -> tuple[tuple[str, str], ...]:
        calls = (self._calls[index] for index in sorted(self._calls))
        return tuple((name, "".join(arguments)) for name, *arguments in calls)


def real_answer(answer: Answered) -> ShadowAnswer:
    """As the client has had it."""
    gathered = _gathered(answer.events)
    return ShadowAnswer(
        engine=answer.engine,
        finish_reason=gathered.finish_reason,
        ttft_s=answer.ttft_s,
        total_s=answer.total_s,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        spent_usd=answer.spent_usd,
        text=gathered.text,
        tool_calls=gathered.tool_calls,
    )


async def asked(model: ChatModel, engine: str, request: ChatRequest, meter: Meter) -> ShadowAnswer:
    """The same request answered by another engine; what fails is an answer, too. Raises what `TOO_BUSY` has.

    `meter` has what was used, also where this is cancelled.
    """
    gathered, began = Gathered(), time.perf_counter()
    same = replace(request, options=replace(request.options, logprobs=None), escalate=False)
    reason = error = ""
    try:
        async with asyncio.timeout(ANSWER_S), aclosing(model.complete(same, meter)) as events:
            async for event in events:
                gathered.add(event)
                if isinstance(event, Completed):
                    meter.prompt_tokens, meter.completion_tokens = event.prompt_tokens, event.completion_tokens
                    meter.ttft_s = event.ttft_s if meter.ttft_s is None else meter.ttft_s
    except TOO_BUSY:
        raise
    except GgufrunError as failure:
        reason, error = type(failure).__name__, failure.message
    except TimeoutError:
        reason, error = "Timeout", f"No end after {ANSWER_S:.0f} s."
    return ShadowAnswer(
        engine=engine,
        finish_reason=reason or gathered.finish_reason,
        ttft_s=meter.ttft_s,
        total_s=time.perf_counter() - began,
        prompt_tokens=meter.prompt_tokens,
        completion_tokens=meter.completion_tokens,
        spent_usd=meter.spent_usd,
        error=error,
        text=gathered.text,
        tool_calls=gathered.tool_calls,
    )


def _gathered(events: Iterable[ChatEvent]) -> Gathered:
    gathered = Gathered()
    for event in events:
        gathered.add(event)
    return gathered
