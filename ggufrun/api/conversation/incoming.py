"""The messages of a request, in both dialects' spellings, and their translation to `chat.types.Message`.

Also the base of every request body: unknown fields are kept, so that `extras` can name them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ggufrun.api.images.sources import from_url
from ggufrun.chat.types import Chunk, Content, FunctionCall, Message, TextChunk, ThinkingChunk, ToolCall
from ggufrun.errors import OutOfRange, Unsupported, cut

Location = tuple[str | int, ...]
IMAGE: Final = (
    "https://…, http://… or data:image/png;base64,…, as it is or as `url` of an object. PNG, JPEG, WebP or GIF; what "
    "is linked is fetched by the server, from public addresses, 20 MB at most."
)
_HALF: Final = re.compile("[\ud800-\udfff]")


class Body(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _whole_characters(cls, data: Any) -> Any:
        """A client that cuts a text inside an emoji sends half of it, which no tokenizer and no reply can hold."""
        try:
            return _mended(data) if _has_half(data) else data
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def _has_half(data: Any) -> bool:
    """Whether a string in it has a lone surrogate."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                return True
        elif isinstance(value, dict):
            waiting += value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def _mended(data: Any) -> Any:
    if isinstance(data, str):
        return _HALF.sub("\N{REPLACEMENT CHARACTER}", data)
    if isinstance(data, dict):
        return {_mended(key): _mended(value) for key, value in data.items()}
    return [_mended(value) for value in data] if isinstance(data, list) else data


@dataclass(frozen=True, slots=True)
class Fault:
    """What the hosted API refuses, in its words."""

    at: Location
    type: str = "extra_forbidden"
    message: str = "Extra inputs are not permitted"


def given(body: BaseModel, names: Iterable[str], at: Location = ()) -> Iterator[Fault]:
    """Those of the fields `names` that the request has."""
    return (Fault((*at, name)) for name in names if getattr(body, name) is not None)


def extras(body: BaseModel, at: Location = ()) -> Iterator[Location]:
    """Where the request has fields that its schema does not know."""
    for name in body.__pydantic_extra__ or {}:
        yield (*at, name)
    for name, field in type(body).model_fields.items():
        yield from _extras_in(getattr(body, name), (*at, field.alias or name))


def _extras_in(value: Any, at: Location) -> Iterator[Location]:
    if isinstance(value, BaseModel):
        yield from extras(value, at)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _extras_in(item, (*at, index))


class ContentPart(Body):
    """A part of a message's content, of any type: which ones are taken is `_part`'s."""

    type: str = "text"
    text: str | None = None
    thinking: tuple["ContentPart", ...] | None = None
    closed: bool | None = None
    signature: str | None = None
    reference_ids: tuple[int | str, ...] | None = None
    refusal: str | None = None
    image_url: Annotated[str | dict[str, Any] | None, Field(description=IMAGE)] = None
    input_audio: str | dict[str, Any] | None = None
    document_url: str | None = None
    document_name: str | None = None
    file_id: str | None = None
    file: dict[str, Any] | None = None
    resource: dict[str, Any] | None = None


_OPENAI_FIELDS: Final = ("refusal", "reasoning_content", "function_call")
_OPENAI_ROLES: Final = ("developer", "function")


class IncomingMessage(Body):
    """One message. `developer` is OpenAI's `system`, `function` its old `tool`."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | tuple[ContentPart, ...] | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    prefix: bool | None = None
    reasoning_content: str | None = None
    function_call: FunctionCall | None = None
    refusal: str | None = None

    def foreign(self, at: Location) -> Iterator[Fault]:
        """What Mistral's API does not know of it."""
        if self.role in _OPENAI_ROLES:
            yield Fault((*at, "role"), "literal_error", "Input should be 'system', 'user', 'assistant' or 'tool'")
        yield from given(self, _OPENAI_FIELDS if self.role == "tool" else ("name", *_OPENAI_FIELDS), at)

    def to_message(self, index: int) -> Message:
        """Raises Unsupported for a part that this server does not take; `index` is the message's in the request."""
        content: Content = self.refusal if self.content is None else None
        if isinstance(self.content, str):
            content = self.content
        elif self.content is not None:
            parts = (_part(part, f"messages.{index}.content.{at}") for at, part in enumerate(self.content))
            content = tuple(part for part in parts if part is not None)
        calls = self.tool_calls
        if calls is None and self.function_call is not None:
            calls = (ToolCall(function=self.function_call),)
        return Message(
            role="tool" if self.role == "function" else self.role,
            content=content,
            reasoning_content=self.reasoning_content,
            tool_calls=calls,
            tool_call_id=self.tool_call_id,
            name=self.name if self.role in ("tool", "function") else None,
            prefix=bool(self.prefix),
        )


_REFUSED: Final = {
    "input_audio": "This model cannot hear audio.",
    "document_url": "Documents are not read here.",
    "file": "Files are not kept here.",
    "resource_link": "Links are not followed here.",
}


def _part(part: ContentPart, at: str) -> Chunk | None:
    """The part as the model reads it, None where it reads nothing of it."""
    match part.type:
        case "text" if part.text is not None:
            return TextChunk(text=part.text)
        case "refusal":
            return TextChunk(text=part.refusal or "")
        case "thinking" if part.thinking is not None:
            texts = tuple(TextChunk(text=each.text) for each in part.thinking if each.text is not None)
            return ThinkingChunk(type="thinking", thinking=texts, closed=part.closed is not False)
        case "reference" | "tool_reference":
            return None
        case "image_url":
            return from_url(part.image_url, at)
        case "resource":
            return TextChunk(text=_resource_text(part, at))
        case "text" | "thinking":
            raise OutOfRange(f"A {part.type} part has no {part.type}.", "Add it.", f"{at}.{part.type}")
    raise Unsupported(_REFUSED.get(part.type, f"Parts of type {cut(part.type)!r} are not known."), "Send text.", at)


def _resource_text(part: ContentPart, at: str) -> str:
    content = (part.resource or {}).get("content")
    text = content.get("text") if isinstance(content, dict) else content
    if not isinstance(text, str):
        raise Unsupported("Only resources with their text in them are read here.", "Send the text.", at)
    return text
