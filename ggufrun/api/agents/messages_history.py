"""The messages of Anthropic's API, which are made of blocks, and their translation to `chat.types.Message`."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from ggufrun.api.conversation.incoming import Body
from ggufrun.api.images.sources import from_source, result_of
from ggufrun.chat.types import FunctionCall, LinkedImage, Message, TextChunk, ThinkingChunk, ToolCall
from ggufrun.errors import OutOfRange, Unsupported, cut

_SOURCE: Final = 'Of an image: {"type": "base64", "media_type": …, "data": …} or {"type": "url", "url": …}.'


class Block(Body):
    """A block of any type: which ones are taken is decided by where it stands."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: "str | tuple[Block, ...] | None" = None
    is_error: bool | None = None
    source: Annotated[dict[str, Any] | None, Field(description=_SOURCE)] = None
    cache_control: dict[str, Any] | None = None


class AnthropicMessage(Body):
    role: Literal["user", "assistant", "system"]
    content: str | tuple[Block, ...]


_REFUSED: Final = {"image": "Images belong to the user's messages.", "document": "Documents are not read here."}


def to_messages(messages: Sequence[AnthropicMessage]) -> list[Message]:
    """Raises Unsupported for a block that this server does not take."""
    translated: list[Message] = []
    for index, message in enumerate(messages):
        at = f"messages.{index}.content"
        if isinstance(message.content, str):
            translated.append(Message(role=message.role, content=message.content))
        elif message.role == "assistant":
            translated.append(_assistant(message.content, at))
        else:
            translated += _user(message.role, message.content, at)
    return translated


def _user(role: Literal["user", "system"], blocks: Sequence[Block], at: str) -> list[Message]:
    """The results of tools first: nothing may stand between them and their calls."""
    results: list[Message] = []
    parts: list[TextChunk | LinkedImage] = []
    for index, block in enumerate(blocks):
        if block.type == "tool_result":
            results.append(_result(block, f"{at}.{index}"))
        else:
            parts.append(_seen(block, f"{at}.{index}"))
    return [*results, Message(role=role, content=tuple(parts))] if parts or not results else results


def _result(block: Block, at: str) -> Message:
    said = "Error: " if block.is_error else ""
    if block.content is None or isinstance(block.content, str):
        return Message(role="tool", content=f"{said}{block.content or ''}", tool_call_id=block.tool_use_id)
    parts = [_seen(each, f"{at}.content.{index}") for index, each in enumerate(block.content)]
    return Message(role="tool", content=result_of(parts, said), tool_call_id=block.tool_use_id)


def _assistant(blocks: Sequence[Block], at: str) -> Message:
    said: list[TextChunk | ThinkingChunk] = []
    calls: list[ToolCall] = []
    for index, block in enumerate(blocks):
        match block.type:
            case "tool_use":
                arguments = json.dumps(block.input or {}, ensure_ascii=False)
                function = FunctionCall(name=block.name or "", arguments=arguments)
                calls.append(ToolCall(id=block.id or "null", function=function, index=len(calls)))
            case "thinking":
                said.append(ThinkingChunk(type="thinking", thinking=(TextChunk(text=block.thinking or ""),)))
            case "redacted_thinking":  # nobody here can read it
                continue
            case _:
                said.append(_text(block, f"{at}.{index}"))
    texts = [chunk.text for chunk in said if isinstance(chunk, TextChunk)]
    content = "".join(texts) if len(texts) == len(said) else tuple(said)
    return Message(role="assistant", content=content, tool_calls=tuple(calls) or None)


def _seen(block: Block, at: str) -> TextChunk | LinkedImage:
    return from_source(block.source, at) if block.type == "image" else _text(block, at)


def _text(block: Block, at: str) -> TextChunk:
    if block.type == "text":
        if block.text is None:
            raise OutOfRange("A text block has no text.", "Add it.", f"{at}.text")
        return TextChunk(text=block.text)
    reason = _REFUSED.get(block.type, f"Blocks of type {cut(block.type)!r} are not taken here.")
    raise Unsupported(reason, "Send text.", at)
