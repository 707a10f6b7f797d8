"""Prompts for Mistral models, encoded by mistral-common itself: its validation, its normalisation, its token layout."""

from collections import OrderedDict
from threading import Lock

from mistral_common.exceptions import (
    InvalidAssistantMessageException,
    InvalidFunctionCallException,
    InvalidMessageStructureException,
    InvalidToolException,
    InvalidToolMessageException,
    InvalidToolSchemaException,
    MistralCommonException,
)
from mistral_common.protocol.fim.request import FIMRequest
from mistral_common.protocol.instruct.messages import UserMessage
from mistral_common.protocol.instruct.normalize import get_normalizer
from mistral_common.protocol.instruct.request import ChatCompletionRequest, ReasoningEffort
from mistral_common.protocol.instruct.tool_calls import Tool
from mistral_common.protocol.instruct.validator import ValidationMode, get_validator
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from mistral_common.tokens.tokenizers.instruct import (
    InstructTokenizerV3,
    InstructTokenizerV7,
    InstructTokenizerV11,
    InstructTokenizerV13,
    InstructTokenizerV15,
)
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from ggufrun.chat import types
from ggufrun.chat.encoded import Dialect, EncodedPrompt, NestedTooDeeply, refuse_empty, text_of, thinking_of
from ggufrun.chat.mistral_messages import Abilities, Conversation, convert_tool
from ggufrun.chat.mistral_pictures import PictureTokens, knows_pictures
from ggufrun.chat.pictures import Album, Pictures
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.system_prompts import reasoning_prompt
from ggufrun.chat.tool_check import bad_tool
from ggufrun.chat.vision import Vision
from ggufrun.engine.types import Image
from ggufrun.errors import BadToolCall, MessageOrder, OptionError, RequestError

_LAYOUTS: dict[TokenizerVersion, type[InstructTokenizerV3]] = {  # type: ignore[type-arg]  # generic in nothing that matters here
    TokenizerVersion.v3: InstructTokenizerV3,
    TokenizerVersion.v7: InstructTokenizerV7,
    TokenizerVersion.v11: InstructTokenizerV11,
    TokenizerVersion.v13: InstructTokenizerV13,
    TokenizerVersion.v15: InstructTokenizerV15,
}
_NO_THOUGHT = (ReasoningEffort.none, ReasoningEffort.minimal)
_OUTPUT_SPECIALS = ("[THINK]", "[/THINK]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")
_KNOWN_TOOLS = 256  # tool definitions whose schema check is remembered: it takes a millisecond each


def parse_version(name: str) -> TokenizerVersion:
    """A model card's tokenizer version, "v3" to "v15"."""
    known = {version.value: version for version in _LAYOUTS}
    if name not in known:
        raise OptionError(f"Tokenizer version {name!r} is not known.", f"Use one of {', '.join(known)}.")
    return known[name]


class MistralEncoder:
    """Encodes chat requests for one Tekken vocabulary and tokenizer version."""

    dialect: Dialect = "mistral"
    supports_tools = True

    def __init__(self, tekkenizer: Tekkenizer, template: str = "", vision: Vision | None = None) -> None:
        """`template`, the GGUF's own, may know a system prompt that makes the model think.

        With `vision` the prompts may have pictures, if the vocabulary knows any.
        Raises OptionError if the vocabulary lacks a special token that the version writes.
        """
        self._tekkenizer = tekkenizer
        self.version = tekkenizer.version.value
        seeing = vision is not None and knows_pictures(tekkenizer)
        self.supports_vision = seeing
        self._pictures = Pictures(vision) if vision is not None and seeing else None
        self._picture_tokens = PictureTokens(tekkenizer, vision) if vision is not None and seeing else None
        try:
            self._layout = _LAYOUTS[tekkenizer.version](tekkenizer, image_encoder=self._picture_tokens)
        except ValueError as error:
            hint = "Set the tokenizer version that fits this model."
            raise OptionError(f"Tokenizer version {self.version} does not fit: {error}.", hint) from error
        self._validator = get_validator(tekkenizer.version, ValidationMode.serving)
        self._normalizer = get_normalizer(tekkenizer.version, tekkenizer.model_settings_builder)
        builder = tekkenizer.model_settings_builder
        self._efforts = builder.reasoning_effort.values if builder and builder.reasoning_effort else []
        self._special = {
            name: tekkenizer.get_special_token(name) for name in _OUTPUT_SPECIALS if tekkenizer.is_special(name)
        }
        self._abilities = Abilities(
            thinking="[THINK]" in self._special and tekkenizer.version >= TokenizerVersion.v13,
            text_with_calls=tekkenizer.version >= TokenizerVersion.v7,
            pictures_of_tools=tekkenizer.version >= TokenizerVersion.v15,
        )
        self.supports_thinking = self._abilities.thinking
        self.supports_fim = tekkenizer.is_special("[SUFFIX]") and tekkenizer.is_special("[PREFIX]")
        asked = self._abilities.thinking and tekkenizer.model_settings_builder is None  # later versions have a setting
        self.reasoning_prompt = reasoning_prompt(template) if asked else None
        self._checked_tools: OrderedDict[str, Tool] = OrderedDict()
        self._lock = Lock()

    def encode(self, request: types.ChatRequest) -> EncodedPrompt:
        refuse_empty(request.messages)
        try:
            tokens, images = self._encode(request)
        except MistralCommonException as error:
            raise _kind(error)(_one_line(error.message), "", "messages") from error
        except RecursionError as error:
            raise NestedTooDeeply from error
        except (ValueError, AssertionError) as error:  # mistral-common asserts on input in places
            raise RequestError(_one_line(str(error)), "", "messages") from error
        last = request.messages[-1]
        continued = last.role == "assistant" and not last.tool_calls
        prefix = text_of(last, "\n\n") if continued else ""
        thinking, closed = thinking_of(last) if continued and self._abilities.thinking else ("", True)
        return EncodedPrompt(
            tokens=tuple(tokens),
            style=self._style(request, in_thinking=bool(thinking) and not closed),
            dialect=self.dialect,
            version=self.version,
            prefix_text=prefix,
            prefix_spaces=0 if thinking else len(prefix) - len(prefix.rstrip(" ")),  # mistral-common cuts them
            images=images,
        )

    def fill(self, prefix: str, suffix: str) -> list[int]:
        return list(self._layout.encode_fim(FIMRequest(prompt=prefix, suffix=suffix)).tokens)

    def tokenize(self, text: str) -> list[int]:
        return self._tekkenizer.encode(text, bos=False, eos=False)

    def _encode(self, request: types.ChatRequest) -> tuple[list[int], tuple[Image, ...]]:
        tools = () if request.tool_choice == "none" else request.tools
        album = Album(self._pictures) if self._pictures else None
        wire: ChatCompletionRequest = ChatCompletionRequest(  # type: ignore[type-arg]  # generic in nothing that matters here
            model=self.version,  # serving mode wants a name; it is not encoded
            messages=Conversation(self._abilities, album).convert(request.messages),
            tools=[self._tool(index, tool) for index, tool in enumerate(tools)] or None,
            reasoning_effort=self._effort(request.options.reasoning_effort),
        )
        self._validator.validate_messages(wire.messages)
        written = self._layout.encode_instruct(self._normalizer.from_chat_completion_request(wire))
        pictures = self._picture_tokens.images(written.tokens, written.images) if self._picture_tokens else ()
        return written.tokens, pictures

    def _tool(self, index: int, tool: types.Tool) -> Tool:
        """A valid tool definition. Agents send the same ones with every request."""
        try:
            key = tool.model_dump_json()
        except ValueError as error:  # pydantic takes depth for a circle
            raise NestedTooDeeply from error
        with self._lock:
            if key in self._checked_tools:
                self._checked_tools.move_to_end(key)
                return self._checked_tools[key]
        converted = convert_tool(tool)
        try:
            self._validator.validate_request(
                ChatCompletionRequest(model=self.version, messages=[UserMessage(content="")], tools=[converted])
            )
        except InvalidToolSchemaException as error:
            raise bad_tool(index, tool, "parameters", _one_line(error.message)) from error
        except InvalidToolException as error:
            raise bad_tool(index, tool, "name", _one_line(error.message)) from error
        with self._lock:
            self._checked_tools[key] = converted
            if len(self._checked_tools) > _KNOWN_TOOLS:
                self._checked_tools.popitem(last=False)
        return converted

    def _effort(self, effort: str | None) -> ReasoningEffort | None:
        """The effort among those the model knows, or the nearest to it. Versions before v15 are not told."""
        if effort is None or not self._efforts:
            return None
        alike = [known for known in self._efforts if (known in _NO_THOUGHT) == (effort in _NO_THOUGHT)]
        exact = next((known for known in alike if known == effort), None)
        return exact or (alike[-1] if alike else self._efforts[0])

    def _style(self, request: types.ChatRequest, *, in_thinking: bool) -> OutputStyle:
        return OutputStyle(
            thinking="tokens" if self._abilities.thinking else "none",
            starts_in_thinking=in_thinking,
            tool_calls="none" if request.tool_choice == "none" else "mistral",
            special=self._special,
            may_think=self._told_to_think(request.options.reasoning_effort),
        )

    def _told_to_think(self, effort: str | None) -> bool:
        """False where the prompt says not to, as it does by default from v15 on."""
        return not self._efforts or (self._effort(effort) or self._efforts[0]) not in _NO_THOUGHT


def _kind(error: MistralCommonException) -> type[RequestError]:
    """Of an assistant's message nothing but a prefix that is not the last message is left to refuse."""
    if isinstance(error, InvalidMessageStructureException | InvalidAssistantMessageException):
        return MessageOrder
    if isinstance(error, InvalidFunctionCallException | InvalidToolMessageException):
        return BadToolCall
    return RequestError


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    return line if line.endswith(".") else f"{line}."
