"""What is kept of a request beside its answers: the last thing that its user said, and a digest of all of it."""

import hashlib
import json
from dataclasses import asdict
from typing import Any, Final

from ggufrun.chat.types import ChatRequest, ImageChunk, LinkedImage, Message, TextChunk, ThinkingChunk

_FREE: Final = ("seed", "logprobs")  # they change nothing of what is asked


def last_question(request: ChatRequest) -> str:
    """The text of its last user message; pictures are told of, not kept."""
    said = (message for message in reversed(request.messages) if message.role == "user")
    return _text(next(said, Message(role="user", content="")))


def digest(request: ChatRequest) -> str:
    """The same for the same messages, pictures included, tools, format and options. sha256 in hex."""
    options = {name: value for name, value in asdict(request.options).items() if name not in _FREE}
    asked = {
        "messages": [message.model_dump(mode="json") for message in request.messages],
        "pictures": [hashlib.sha256(picture).hexdigest() for picture in pictures(request)],
        "tools": [tool.model_dump(mode="json") for tool in request.tools],
        "choice": request.tool_choice if isinstance(request.tool_choice, str) else request.tool_choice.function.name,
        "format": asdict(request.constraint) if request.constraint is not None else None,
        "options": options,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()


def pictures(request: ChatRequest) -> list[bytes]:
    return [part.data for part in _parts(request) if isinstance(part, ImageChunk)]


def size(request: ChatRequest) -> int:
    """About how much memory it holds, in characters and the bytes of pictures. Quick: for the event loop."""
    texts = sum(len(each.content) for each in request.messages if isinstance(each.content, str))
    chunks = sum(len(part.text) for part in _parts(request) if isinstance(part, TextChunk))
    return texts + chunks + sum(map(len, pictures(request)))


def _parts(request: ChatRequest) -> list[Any]:
    return [part for each in request.messages if isinstance(each.content, tuple) for part in each.content]


def _text(message: Message) -> str:
    if not isinstance(message.content, tuple):
        return message.content or ""
    return "\n".join(filter(None, map(_told, message.content)))


def _told(chunk: TextChunk | ThinkingChunk | ImageChunk | LinkedImage) -> str:
    if isinstance(chunk, TextChunk):
        return chunk.text
    return "(picture)" if isinstance(chunk, ImageChunk | LinkedImage) else ""
