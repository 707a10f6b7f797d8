"""A local chat model over the fakes: the prompt is the last message's bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ggufrun.chat.compile import Compiler
from ggufrun.chat.encoded import Dialect, EncodedPrompt
from ggufrun.chat.local import LocalChatModel
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import AnyRequest, ChatEvent, ChatOptions, ChatRequest, Content, Message, ModelInfo, Tool
from tests.fakes import FakeService, FakeVocabulary

INFO = ModelInfo("fake", 4096, 4096, 263, 0, "fake")


@dataclass
class FakeEncoder:
    """Implements `PromptEncoder`."""

    style: OutputStyle = field(default_factory=OutputStyle)
    prefix: str = ""
    prefix_spaces: int = 0
    dialect: Dialect = "template"
    version: str = ""
    supports_tools: bool = True
    supports_thinking: bool = False
    supports_fim: bool = False
    supports_vision: bool = False
    reasoning_prompt: Content = None

    def encode(self, request: ChatRequest) -> EncodedPrompt:
        content = request.messages[-1].content
        assert isinstance(content, str)
        tokens = tuple(content.encode())
        return EncodedPrompt(tokens, self.style, self.dialect, "", self.prefix, self.prefix_spaces)

    def fill(self, prefix: str, suffix: str) -> list[int]:
        return list(f"<{prefix}|{suffix}>".encode())

    def tokenize(self, text: str) -> list[int]:
        return list(text.encode())


def model(service: FakeService, vocabulary: FakeVocabulary | None = None, **encoder: Any) -> LocalChatModel:
    vocabulary = vocabulary or FakeVocabulary()
    compiler = Compiler(vocabulary, FakeEncoder(**encoder), lambda request, prompt: None, service.context)
    return LocalChatModel(INFO, vocabulary, compiler, service)


def ask(content: str = "hello", tools: Sequence[Tool] = (), **options: Any) -> ChatRequest:
    return ChatRequest((Message(role="user", content=content),), ChatOptions(**options), tuple(tools))


async def events_of(chat: LocalChatModel, request: AnyRequest) -> list[ChatEvent]:
    return [event async for event in chat.complete(request)]
