"""How many tokens a run would have the model read, and what each exchange has of them. The routes are `counting`'s."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from ggufrun.api.chats.bodies import Content
from ggufrun.api.chats.left_out import exchanges, kept_of, left_out_in
from ggufrun.api.chats.question import Question
from ggufrun.chat.types import AnyRequest, TextRequest
from ggufrun.errors import RequestError
from ggufrun.records.chat_messages import ChatMessage

Count = Callable[[AnyRequest], Awaitable[int]]

MOST_EXCHANGES: Final = 100
_PROBE: Final = ChatMessage("user", "?")


class Exchange(BaseModel):
    """A question with all that follows it up to the next one."""

    id: str = Field(description="Its first message's, as `settings.left_out` takes it.")
    tokens: int | None = Field(
        description="About what is free without it, without what is left out of it. null: it cannot be counted alone."
    )
    left_out: bool
    parts: list[int | None] = Field(
        description="Of each part of the question's content: tokens, null for what is neither text nor seen."
    )


class Counted(BaseModel):
    model: str
    count: int | None = Field(description="As `usage.prompt_tokens` would be. null: not loaded, or nobody can say.")
    loaded: bool = Field(description="Whether the model is: without a count, it is one that counts none then.")
    context: int = Field(description="What there is, the answer included.")
    context_train: int = Field(description="What the model could have; 0: unknown.")
    parts: list[int | None] = Field(description="Of each part of the new message's content.")
    exchanges: list[Exchange] | None = Field(description="Of the branch, where they were asked for: the oldest 100.")


async def parts_of(count: Count, content: Content | Sequence[Mapping[str, Any]]) -> list[int | None]:
    """None for what is neither text nor an image that is seen; a content that is one text has no parts."""
    if isinstance(content, str):
        return []
    return [await _part(count, part) for part in content]


async def exchanges_of(
    count: Count, name: str, settings: Mapping[str, Any], branch: Sequence[ChatMessage]
) -> list[Exchange]:
    left_out = left_out_in(settings)
    alone = await _tokens(count, name, [_PROBE])
    found = []
    for messages in exchanges(branch)[:MOST_EXCHANGES]:
        first = messages[0]
        tokens = await _tokens(count, name, [*_brought_back(messages, left_out), _PROBE])
        found.append(
            Exchange(
                id=first.id,
                tokens=None if tokens is None or alone is None else max(0, tokens - alone),
                left_out=not kept_of(messages, left_out),
                parts=await parts_of(count, first.content),
            )
        )
    return found


async def _part(count: Count, part: Mapping[str, Any]) -> int | None:
    if part.get("type") == "image_url":
        question = {"type": "text", "text": _PROBE.text}
        with_image = await _tokens(count, "", [replace(_PROBE, content=[part, question])])
        alone = await _tokens(count, "", [replace(_PROBE, content=[question])])
        return None if with_image is None or alone is None else with_image - alone
    text = part.get("text")
    return await count(TextRequest(text, bos=False)) if isinstance(text, str) else None


async def _tokens(count: Count, name: str, messages: Sequence[ChatMessage]) -> int | None:
    try:
        request = Question(name, {}, messages, ChatMessage("assistant")).body().to_request()
        return await count(request)
    except (RequestError, RequestValidationError):  # an image that this model cannot see, a call without its result
        return None


def _brought_back(exchange: Sequence[ChatMessage], left_out: Collection[str]) -> Sequence[ChatMessage]:
    """What the model would read of it if it were not left out: parts of it may be still."""
    return kept_of(exchange, {id for id in left_out if "#" in id}) or exchange
