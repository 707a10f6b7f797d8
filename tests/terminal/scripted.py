"""A chat model that answers from a script: for the terminal's tests, which are about the terminal."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from ggufrun.chat.types import (
    AnswerSettings,
    AnyRequest,
    ChatEvent,
    ChatRequest,
    ChoiceEnd,
    ChoiceFinished,
    Completed,
    Meter,
    ModelInfo,
    PromptProcessed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.engine.types import Stats
from tests.fakes import Scripted


@dataclass(frozen=True)
class Reply:
    """One answer: pieces of thinking and text, `pause` seconds between them, then `error` if there is one."""

    pieces: tuple[str, ...] = ("fine",)
    thinking: tuple[str, ...] = ()
    tool_calls: tuple[ToolCallDelta, ...] = ()
    pause: float = 0.0
    first_pause: float = 0.0
    refusal: Exception | None = None  # before the first event
    error: Exception | None = None  # after the pieces
    reason: ChoiceEnd = "stop"
    prompt_tokens: int = 10
    used: int = 15


@dataclass
class ScriptedModel(Scripted):
    """Gives the replies in turn, the last one for ever. Records what it was asked and how often it was cancelled."""

    replies: list[Reply] = field(default_factory=lambda: [Reply()])
    context: int = 100
    defaults: AnswerSettings = field(default_factory=AnswerSettings)
    requests: list[ChatRequest] = field(default_factory=list)
    cancelled: int = 0

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("scripted", self.context, self.context, 256, 1000, "a script", self.defaults)

    async def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        assert isinstance(request, ChatRequest)
        reply = self.replies[min(len(self.requests), len(self.replies) - 1)]
        self.requests.append(request)
        ended = False
        try:
            async for event in _events(reply, self.context):
                yield event
            ended = True
        finally:
            self.cancelled += not ended


async def _events(reply: Reply, context: int) -> AsyncIterator[ChatEvent]:
    if reply.refusal is not None:
        raise reply.refusal
    yield Started(reply.prompt_tokens, context)
    for done in range(256, reply.prompt_tokens + 1, 256):
        yield PromptProcessed(done, reply.prompt_tokens, 0)
        await asyncio.sleep(reply.pause)
    for piece in reply.thinking:
        yield ThinkingDelta(piece, closed=piece == reply.thinking[-1])
    await asyncio.sleep(reply.first_pause)
    for piece in reply.pieces:
        yield TextDelta(piece)
        await asyncio.sleep(reply.pause)
    for call in reply.tool_calls:
        yield call
    if reply.error is not None:
        raise reply.error
    yield ChoiceFinished(reply.reason)
    tokens = len(reply.pieces)
    stats = Stats(reply.prompt_tokens, tokens, cached_tokens=4, model_steps=3, generation_s=0.5)
    yield Completed(reply.prompt_tokens, tokens, (stats,), 0.25, 1.0, reply.used, context)
