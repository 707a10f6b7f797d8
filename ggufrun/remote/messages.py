"""A conversation as a remote's API takes it: roles, parts, pictures, earlier thinking and tool calls."""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from ggufrun.chat.picture_files import PEEK, format_of
from ggufrun.chat.tool_history import ToolIds, tool_arguments
from ggufrun.chat.types import ImageChunk, LinkedImage, Message, TextChunk, ThinkingChunk
from ggufrun.remote.engines import Engine

Json = dict[str, Any]

_MIME: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def messages_for(engine: Engine, messages: Sequence[Message], *, reasons: bool) -> list[Json]:
    """`reasons`: the model is given its earlier thinking back, where the engine has a way to write it."""
    ids = ToolIds()
    return [_message(engine, message, ids, reasons=reasons) for message in messages]


def prefix_of(messages: Sequence[Message]) -> str:
    """The beginning of the answer, where the request gives one."""
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant" or not last.prefix or last.tool_calls:
        return ""
    return _joined(last)


def _message(engine: Engine, message: Message, ids: ToolIds, *, reasons: bool) -> Json:
    if message.role == "assistant":
        return _assistant(engine, message, ids, reasons=reasons)
    role = "system" if message.role == "developer" else message.role
    shown: Json = {"role": role, "content": _content(message)}
    if message.role == "tool":
        shown["tool_call_id"] = ids.of_result(message.tool_call_id)
        if message.name and engine.dialect == "mistral":
            shown["name"] = message.name
    return shown


def _assistant(engine: Engine, message: Message, ids: ToolIds, *, reasons: bool) -> Json:
    ids.next_turn()
    thoughts = _thoughts(message) if reasons and engine.thoughts != "none" else []
    shown: Json = {"role": "assistant", "content": _joined(message)}
    if thoughts and engine.thoughts == "chunks":
        said = [{"type": "text", "text": shown["content"]}] if shown["content"] else []
        shown["content"] = [*thoughts, *said]
    elif thoughts:
        shown["reasoning_content"] = "".join(part["text"] for each in thoughts for part in each["thinking"])
    if message.tool_calls:
        shown["tool_calls"] = [
            {
                "id": ids.of_call(call.id),
                "type": "function",
                "function": {
                    "name": call.function.name,
                    "arguments": json.dumps(tool_arguments(call.function.arguments), ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    if message.prefix and engine.prefix == "field":
        shown["prefix"] = True
    return shown


def _content(message: Message) -> str | list[Json]:
    """One text as a string, which every engine takes; else the parts."""
    content = message.content
    if content is None or isinstance(content, str):
        return content or ""
    if all(isinstance(chunk, TextChunk) for chunk in content) and len(content) <= 1:
        return _joined(message)
    return [part for chunk in content if (part := _part(chunk)) is not None]


def _part(chunk: TextChunk | ThinkingChunk | ImageChunk | LinkedImage) -> Json | None:
    if isinstance(chunk, TextChunk):
        return {"type": "text", "text": chunk.text}
    if isinstance(chunk, ImageChunk):
        return {"type": "image_url", "image_url": {"url": _data_url(chunk.data)}}
    if isinstance(chunk, LinkedImage):
        return {"type": "image_url", "image_url": {"url": chunk.url}}
    return None  # only assistants think


def _data_url(data: bytes) -> str:
    mime = _MIME.get(format_of(data[:PEEK]) or "", "application/octet-stream")
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _joined(message: Message) -> str:
    content = message.content
    if content is None or isinstance(content, str):
        return content or ""
    return "\n\n".join(chunk.text for chunk in content if isinstance(chunk, TextChunk))


def _thoughts(message: Message) -> list[Json]:
    chunks = message.content if isinstance(message.content, tuple) else ()
    found = [
        {
            "type": "thinking",
            "thinking": [{"type": "text", "text": part.text} for part in chunk.thinking],
            "closed": chunk.closed,
        }
        for chunk in chunks
        if isinstance(chunk, ThinkingChunk)
    ]
    if not found and message.reasoning_content:
        thinking = [{"type": "text", "text": message.reasoning_content}]
        found = [{"type": "thinking", "thinking": thinking, "closed": True}]
    return found
