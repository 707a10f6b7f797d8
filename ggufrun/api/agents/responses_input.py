"""The input of OpenAI's Responses, which is made of items, and its translation to `chat.types.Message`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from ggufrun.api.agents.responses_tools import told_name
from ggufrun.api.conversation.incoming import IMAGE, Body
from ggufrun.api.images.sources import from_url, result_of
from ggufrun.chat.types import FunctionCall, LinkedImage, Message, TextChunk, ThinkingChunk, ToolCall
from ggufrun.errors import OutOfRange, Unsupported, cut


class InputPart(Body):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: Annotated[str | dict[str, Any] | None, Field(description=IMAGE)] = None
    detail: str | None = None
    file_id: str | None = None
    annotations: tuple[dict[str, Any], ...] | None = None
    logprobs: tuple[dict[str, Any], ...] | None = None


class InputItem(Body):
    """An item of any type; messages may give none."""

    type: str | None = None
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | tuple[InputPart, ...] | None = None
    status: str | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    output: str | tuple[InputPart, ...] | None = None
    summary: tuple[InputPart, ...] | None = None
    encrypted_content: str | None = None


_REFUSED: Final = {
    "input_image": "Images belong to the user's messages.",
    "input_file": "Files are not read here.",
    "input_audio": "This model cannot hear audio.",
}
_TEXTS: Final = ("input_text", "output_text", "text", "reasoning_text", "summary_text", "refusal")


@dataclass(slots=True)
class _Turn:
    """The assistant's turn, as far as its items have come."""

    said: list[TextChunk | ThinkingChunk] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

    def end(self) -> list[Message]:
        if not self.said and not self.calls:
            return []
        plain = all(isinstance(chunk, TextChunk) for chunk in self.said)
        content = "".join(c.text for c in self.said if isinstance(c, TextChunk)) if plain else tuple(self.said)
        message = Message(role="assistant", content=content, tool_calls=tuple(self.calls) or None)
        self.said, self.calls = [], []
        return [message]


def to_messages(items: Sequence[InputItem]) -> list[Message]:
    """Raises Unsupported for an item or a part that this server does not take."""
    messages: list[Message] = []
    turn = _Turn()
    for index, item in enumerate(items):
        at = f"input.{index}"
        kind = item.type or "message"
        if kind == "reasoning":
            if turn.calls:  # the calls' results come later, or never: this is the next turn's
                messages += turn.end()
            turn.said += _thought(item, at)
        elif kind == "function_call":
            turn.calls.append(_call(item, len(turn.calls)))
        elif kind == "message" and item.role == "assistant":
            turn.said += _texts(item.content, f"{at}.content")
        else:
            messages += turn.end()
            messages.append(_other(item, kind, at))
    return messages + turn.end()


def _other(item: InputItem, kind: str, at: str) -> Message:
    if kind == "function_call_output":
        output = result_of(_seen(item.output, f"{at}.output"))
        return Message(role="tool", content=output, tool_call_id=item.call_id)
    if kind != "message":
        raise Unsupported(f"Items of type {cut(kind)!r} are not taken here.", "Leave them out.", f"{at}.type")
    if item.role is None:
        raise OutOfRange("A message has no role.", 'Use "user", "assistant", "system" or "developer".', f"{at}.role")
    if isinstance(item.content, str):
        return Message(role=item.role, content=item.content)
    return Message(role=item.role, content=tuple(_seen(item.content, f"{at}.content")))


def _call(item: InputItem, index: int) -> ToolCall:
    function = FunctionCall(name=told_name(item.namespace, item.name or ""), arguments=item.arguments or "")
    return ToolCall(id=item.call_id or item.id or "null", function=function, index=index)


def _thought(item: InputItem, at: str) -> list[ThinkingChunk]:
    """What the model thought, or else its summary; nobody here can read what is encrypted."""
    texts = _texts(item.content, f"{at}.content") or _texts(item.summary, f"{at}.summary")
    return [ThinkingChunk(type="thinking", thinking=tuple(texts))] if texts else []


def _texts(content: str | Sequence[InputPart] | None, at: str) -> list[TextChunk]:
    if isinstance(content, str):
        return [TextChunk(text=content)] if content else []
    return [_text(part, f"{at}.{index}") for index, part in enumerate(content or ())]


def _seen(content: str | Sequence[InputPart] | None, at: str) -> list[TextChunk | LinkedImage]:
    if isinstance(content, str):
        return [TextChunk(text=content)] if content else []
    return [_part(part, f"{at}.{index}") for index, part in enumerate(content or ())]


def _part(part: InputPart, at: str) -> TextChunk | LinkedImage:
    if part.type != "input_image":
        return _text(part, at)
    if part.image_url is None and part.file_id is not None:
        raise Unsupported("Files are not kept here.", "Send the image itself, as image_url.", at)
    return from_url(part.image_url, at)


def _text(part: InputPart, at: str) -> TextChunk:
    text = part.refusal if part.type == "refusal" else part.text
    if part.type not in _TEXTS:
        reason = _REFUSED.get(part.type, f"Parts of type {cut(part.type)!r} are not known.")
        raise Unsupported(reason, "Send text.", at)
    if text is None:
        raise OutOfRange(f"A part of type {cut(part.type)!r} has no text.", "Add it.", at)
    return TextChunk(text=text)
