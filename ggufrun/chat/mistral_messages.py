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
from ggufrun.chat.tool_history import ToolIds, tool_arguments, tool_name

MistralChunks = list[mistral_chunk.ContentChunk]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a tokenizer version can write in an assistant's turn."""

    thinking: bool
    text_with_calls: bool


class Conversation:
    """Writes one conversation, message by message."""

    def __init__(self, abilities: Abilities) -> None:
        self._abilities = abilities
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
                converted.append(UserMessage(content=_content(message)))
            else:
                converted.append(SystemMessage(content=_content(message)))
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
            return _chunks(message.content)
        chunks: MistralChunks = [mistral_chunk.ThinkChunk(thinking=thinking, closed=closed)]
        return [*chunks, mistral_chunk.TextChunk(text=message.content)] if message.content else chunks

    def _tool(self, message: types.Message) -> ToolMessage:
        return ToolMessage(
            content=_content(message),
            tool_call_id=self._ids.of_result(message.tool_call_id),
            name=tool_name(message.name) if message.name else None,
        )


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


def _content(message: types.Message) -> str | MistralChunks:
    return _chunks(message.content) if isinstance(message.content, tuple) else message.content or ""


def _chunks(content: tuple[types.TextChunk | types.ThinkingChunk, ...]) -> MistralChunks:
    chunks: MistralChunks = []
    for chunk in content:
        if isinstance(chunk, types.TextChunk):
            chunks.append(mistral_chunk.TextChunk(text=chunk.text))
        else:
            thinking = "".join(part.text for part in chunk.thinking)
            chunks.append(mistral_chunk.ThinkChunk(thinking=thinking, closed=chunk.closed))
    return chunks
