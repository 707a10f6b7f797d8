"""From our messages to mistral-common's.

What a tokenizer version cannot write is left out; what is wrong is mistral-common's to refuse.
"""

import json
from dataclasses import dataclass

from mistral_common.protocol.instruct import chunk as mistral_chunk
from mistral_common.protocol.instruct.messages import (
    AssistantMessage,
    ChatMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from mistral_common.protocol.instruct.tool_calls import Function, FunctionCall, Tool, ToolCall

from ggufrun.chat import types
from ggufrun.chat.encoded import text_of, thinking_of
from ggufrun.chat.mistral_pictures import stand_in
from ggufrun.chat.pictures import Album
from ggufrun.chat.tool_history import ToolIds, tool_arguments, tool_name
from ggufrun.chat.vision import pictures_in
from ggufrun.errors import Unsupported

MistralChunks = list[mistral_chunk.ContentChunk]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a tokenizer version can write in an assistant's turn, and in a tool's."""

    thinking: bool
    text_with_calls: bool
    pictures_of_tools: bool


class Conversation:
    """Writes one conversation, message by message."""

    def __init__(self, abilities: Abilities, pictures: Album | None = None) -> None:
        """`pictures` None: there are none in it."""
        self._abilities, self._pictures = abilities, pictures
        self._ids = ToolIds()

    def convert(self, messages: tuple[types.Message, ...]) -> list[ChatMessage]:
        converted: list[ChatMessage] = []
        for place, message in enumerate(messages):
            if message.role == "assistant":
                last = place == len(messages) - 1
                said = self._assistant(message, message.prefix or (last and not message.tool_calls))
                if not self._abilities.text_with_calls and any(each.tool_calls for each in said):
                    _drop_text(converted)
                converted += said
            elif message.role == "tool":
                converted.append(self._tool(message))
            elif message.role == "user":
                converted.append(UserMessage(content=self._content(message)))
            else:
                converted.append(SystemMessage(content=self._content(message)))
        return converted

    def _assistant(self, message: types.Message, prefix: bool) -> list[AssistantMessage]:
        """One message, or none: an assistant that said nothing cannot be written, nor can one be begun with nothing."""
        self._ids.next_turn()
        calls = [
            ToolCall(
                id=self._ids.of_call(call.id),
                function=FunctionCall(
                    name=tool_name(call.function.name),
                    arguments=json.dumps(tool_arguments(call.function.arguments), ensure_ascii=False),
                ),
            )
            for call in message.tool_calls or ()
        ]
        content: str | MistralChunks = self._said(message)
        if calls and not self._abilities.text_with_calls:
            content = ""
        if not content and not calls:
            return []
        return [AssistantMessage(content=content or None, tool_calls=calls or None, prefix=prefix)]

    def _said(self, message: types.Message) -> str | MistralChunks:
        thinking, closed = thinking_of(message)
        if not thinking or not self._abilities.thinking:
            return text_of(message, "\n\n")
        if isinstance(message.content, tuple):
            return self._chunks(message.content)
        chunks: MistralChunks = [mistral_chunk.ThinkChunk(thinking=thinking, closed=closed)]
        return [*chunks, mistral_chunk.TextChunk(text=message.content)] if message.content else chunks

    def _tool(self, message: types.Message) -> ToolMessage:
        if not self._abilities.pictures_of_tools and (pictures := pictures_in([message])):
            hint = "Send the image in a message of the user."
            raise Unsupported("This model reads no images in tools' results.", hint, pictures[0].at)
        return ToolMessage(
            content=self._content(message),
            tool_call_id=self._ids.of_result(message.tool_call_id),
            name=tool_name(message.name) if message.name else None,
        )

    def _content(self, message: types.Message) -> str | MistralChunks:
        return self._chunks(message.content) if isinstance(message.content, tuple) else message.content or ""

    def _chunks(self, content: tuple[types.Chunk, ...]) -> MistralChunks:
        chunks: MistralChunks = []
        for chunk in content:
            if isinstance(chunk, types.TextChunk):
                chunks.append(mistral_chunk.TextChunk(text=chunk.text))
            elif isinstance(chunk, types.ThinkingChunk):
                thinking = "".join(part.text for part in chunk.thinking)
                chunks.append(mistral_chunk.ThinkChunk(thinking=thinking, closed=chunk.closed))
            elif isinstance(chunk, types.LinkedImage) or self._pictures is None:
                raise Unsupported("An image is not here to be seen.", "Send the image itself.", chunk.at)
            else:
                chunks.append(stand_in(self._pictures.of(chunk)))
        return chunks


def _drop_text(converted: list[ChatMessage]) -> None:
    """Leave out what an assistant said just before: mistral-common makes one turn of it and the calls that follow."""
    while converted and isinstance(converted[-1], AssistantMessage) and not converted[-1].tool_calls:
        converted.pop()


def convert_tool(tool: types.Tool) -> Tool:
    function = tool.function
    return Tool(
        function=Function(
            name=function.name,
            description=function.description,
            parameters=function.parameters,
            strict=function.strict,
        )
    )
