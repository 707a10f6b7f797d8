"""An encoded prompt and the protocol of what makes one. How it is made is in `mistral.py` and `templated.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import ChatRequest, Content, Message, TextChunk, ThinkingChunk
from ggufrun.chat.vision import pictures_in
from ggufrun.engine.types import Image
from ggufrun.errors import EmptyPrompt, RequestError

Dialect = Literal["mistral", "template"]


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """Token ids of a whole request, and how its answer will be written.

    `prefix_text` is the start of the answer that the client gave (`prefix: true`): the answer's first delta.
    `prefix_spaces` of its trailing spaces are not in the tokens: drop as many leading spaces of what is generated.
    """

    tokens: tuple[int, ...]
    style: OutputStyle
    dialect: Dialect
    version: str = ""  # Mistral's tokenizer version, e.g. "v13"
    prefix_text: str = ""
    prefix_spaces: int = 0
    images: tuple[Image, ...] = ()  # in the order of the prompt


class NestedTooDeeply(RequestError):
    def __init__(self) -> None:
        super().__init__("A tool's schema or arguments are nested too deeply.", "Simplify them.", "tools")


class PromptEncoder(Protocol):
    """One model's way of writing prompts. Safe to use from several threads."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def version(self) -> str:
        """Mistral's tokenizer version, "" where a template writes the prompt."""

    @property
    def supports_tools(self) -> bool:
        """Whether the model's own format knows tools; where not, they are described in the system prompt."""

    @property
    def supports_thinking(self) -> bool:
        """Whether the model's format has a place for thinking."""

    @property
    def supports_fim(self) -> bool:
        """Whether the vocabulary has the tokens of `fill`."""

    @property
    def supports_vision(self) -> bool:
        """Whether the prompts may have pictures; where not, they are refused before."""

    @property
    def reasoning_prompt(self) -> Content:
        """The system message that makes the model think; None where its format needs none."""

    def encode(self, request: ChatRequest) -> EncodedPrompt:
        """Tokens of the request, BOS included. Raises RequestError; the length is the caller's to check."""

    def fill(self, prefix: str, suffix: str) -> list[int]:
        """Tokens, BOS included, that ask for what stands between the two; only where `supports_fim`."""

    def tokenize(self, text: str) -> list[int]:
        """Tokens of plain text, in which no special token is recognised, without BOS."""


def refuse_empty(messages: Sequence[Message]) -> None:
    """Raise EmptyPrompt where there is nothing to answer: no message, or nothing but blank ones beside the system's."""
    asked = [message for message in messages if message.role not in ("system", "developer")]
    if any(message.tool_calls or text_of(message).strip() for message in asked or messages) or pictures_in(asked):
        return
    raise EmptyPrompt


def text_of(message: Message, joined_by: str = "\n") -> str:
    """The message's text without its thinking."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return joined_by.join(chunk.text for chunk in message.content if isinstance(chunk, TextChunk))


def thinking_of(message: Message) -> tuple[str, bool]:
    """The message's thinking and whether it is closed, from either dialect's spelling; "" where there is none."""
    chunks = message.content if isinstance(message.content, tuple) else ()
    thoughts = [chunk for chunk in chunks if isinstance(chunk, ThinkingChunk)]
    if thoughts:
        return "\n".join("".join(part.text for part in chunk.thinking) for chunk in thoughts), thoughts[-1].closed
    return message.reasoning_content or "", True
